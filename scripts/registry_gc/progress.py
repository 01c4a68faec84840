"""What somebody who waits for a run is told: a line that changes, or now and then a line."""

import time
from dataclasses import dataclass
from typing import TextIO

_CHANGES = 0.2  # seconds between two changes of the line on a terminal
_LINES = 30.0  # seconds between two lines where there is none


@dataclass(slots=True)
class Progress:
    """Tells of one run on a stream; nothing of a run that ends before there is anything to tell."""

    stream: TextIO
    _phase: str = ""
    _told: float = 0.0
    _width: int = 0

    def __post_init__(self) -> None:
        """Begin to count the time now."""
        self._told = time.monotonic()

    def enter(self, phase: str) -> None:
        """Note that a phase begins."""
        self._phase = phase
        if phase == "done":
            self._clear()
        elif self.stream.isatty() or self._is_due(_LINES):
            self._tell(phase)

    def seen(self, blobs: int, repositories: int) -> None:
        """Note what a scan has seen so far."""
        if self._is_due(_CHANGES if self.stream.isatty() else _LINES):
            scan = f"{blobs:,} blobs, {repositories:,} repositories"
            self._tell(f"{self._phase or 'scan'}: {scan}")

    def read(self, done: int, total: int) -> None:
        """Note how many bytes of all have been read so far."""
        if self._is_due(_CHANGES if self.stream.isatty() else _LINES):
            self._tell(f"read {done / max(total, 1):.0%} of {total:,} bytes")

    def _is_due(self, seconds: float) -> bool:
        return time.monotonic() - self._told >= seconds

    def _tell(self, text: str) -> None:
        self._told = time.monotonic()
        if self.stream.isatty():
            self.stream.write(f"\r{text.ljust(self._width)}")
            self._width = len(text)
        else:
            self.stream.write(f"{text}\n")
        self.stream.flush()

    def _clear(self) -> None:
        if self._width:
            self.stream.write(f"\r{' ' * self._width}\r")
            self.stream.flush()
            self._width = 0
