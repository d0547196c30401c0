"""Reading results: tables, figures, one page. It reads saved files and imports nothing that trains."""

from preceptor.report.write import write_report

__all__ = ["write_report"]
