"""What somebody who waits for a run is told."""

import io

import pytest

from registry_gc import progress
from registry_gc.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_CHANGES", 0.0)
    monkeypatch.setattr(progress, "_LINES", 0.0)


def test_a_short_run_says_nothing_into_a_log() -> None:
    stream = io.StringIO()
    told = Progress(stream)
    for phase in ("scan", "settle", "done"):
        told.enter(phase)
    told.seen(5, 1)

    assert stream.getvalue() == ""


@pytest.mark.usefixtures("at_once")
def test_a_long_one_says_a_line_now_and_then() -> None:
    """Seen to fail: a carriage return in a log."""
    stream = io.StringIO()
    told = Progress(stream)
    told.enter("scan")
    told.seen(1234, 0)
    told.seen(1234, 7)

    assert stream.getvalue().splitlines() == [
        "scan",
        "scan: 1,234 blobs, 0 repositories",
        "scan: 1,234 blobs, 7 repositories",
    ]


@pytest.mark.usefixtures("at_once")
def test_a_terminal_has_one_line_that_goes_at_the_end() -> None:
    stream = Terminal()
    told = Progress(stream)
    told.seen(1234, 7)
    told.enter("settle")
    told.enter("done")

    shown = stream.getvalue()
    assert "\n" not in shown
    assert shown.split("\r")[1:] == [
        "scan: 1,234 blobs, 7 repositories",
        "settle".ljust(33),
        " " * 6,
        "",
    ]


def test_a_plan_that_never_began_to_scan_leaves_the_terminal_alone() -> None:
    stream = Terminal()
    Progress(stream).enter("done")

    assert stream.getvalue() == ""
