"""Figures and tables of a report as SVG, CSV, Markdown and LaTeX."""
