"""The last line of a run names the files of which no test was run."""

from __future__ import annotations

__all__ = ["SkippedFiles"]


class SkippedFiles:
    """A pytest plugin that records whether tests of each file ran."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}
        self._ran: set[str] = set()

    def pytest_collectreport(self, report) -> None:
        """Record a file that skips itself."""
        if report.skipped:
            self._skip(report)

    def pytest_runtest_logreport(self, report) -> None:
        """Record a test that ran, or why it was skipped."""
        if report.skipped and not hasattr(report, "wasxfail"):
            self._skip(report)
        elif report.when == "call":
            self._ran.add(_file_of(report))

    def pytest_unconfigure(self, config) -> None:
        """Write the line after the rest of pytest's output."""
        if line := self.line():
            config.get_terminal_writer().line(line, yellow=True)

    def line(self) -> str:
        """Return the line; empty if at least one test of every file ran."""
        left_out = sorted(set(self._reasons) - self._ran)
        return "SKIPPED FILES: " + ", ".join(f"{file} ({self._reasons[file]})" for file in left_out) if left_out else ""

    def _skip(self, report) -> None:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        self._reasons.setdefault(_file_of(report), reason.removeprefix("Skipped: "))


def _file_of(report) -> str:
    return report.nodeid.partition("::")[0]
