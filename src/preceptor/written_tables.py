"""Where the tables of a report lie, and what says which runs they are made of: the reader of them needs no report."""

TABLES = "tables"
"""The folder beside the page."""

SOURCES = "-sources.json"
"""How the file of a study ends that names the runs of every method; its tables begin alike."""
