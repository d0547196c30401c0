"""What all tests share."""

from collections import Counter

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many oracle cases of each method ran."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])]
    methods = Counter(value for report in reports for name, value in report.user_properties if name == "oracle")
    if methods:
        counts = ", ".join(f"{method} {count}" for method, count in sorted(methods.items()))
        terminalreporter.write_line(f"oracle cases per method ({methods.total()} in all): {counts}")
