"""Which file system a store lies on, and for how long that answers from what it remembers.

On a network file system one machine sees what another wrote only when its own memory of a folder
runs out, so a collection beside registries on other machines has to wait for longer.
"""

import os
import re
from datetime import timedelta
from pathlib import Path

_REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3"})
_DEFAULT_TIMEOUT = 60  # seconds: acregmax and acdirmax of nfs(5)
_MARGIN = timedelta(seconds=60)
_MOUNTS = Path("/proc/self/mountinfo")


def is_remote(path: str, mounts: Path = _MOUNTS) -> bool:
    """Say whether a path lies on a network file system whose folders know no lock."""
    kind, _ = _mount_of(path, mounts)
    return kind in _REMOTE


def least_settle_period(path: str, mounts: Path = _MOUNTS) -> timedelta:
    """Return for how long a collection has to settle at least: 0 on a local file system.

    Otherwise twice the longest attribute timeout and a minute: for the first the registry may
    still see what is gone, and for the second we may not yet see what it wrote then.
    """
    kind, options = _mount_of(path, mounts)
    if kind not in _REMOTE:
        return timedelta()
    if "noac" in options.split(","):
        return _MARGIN
    # Linux shows those that differ from the default.
    found = dict.fromkeys(("acregmax", "acdirmax"), _DEFAULT_TIMEOUT)
    for name, seconds in re.findall(r"(?:^|,)(acregmax|acdirmax|actimeo)=(\d+)", options):
        if name == "actimeo":
            found = dict.fromkeys(found, int(seconds))
        else:
            found[name] = int(seconds)
    return 2 * timedelta(seconds=max(found.values())) + _MARGIN


def _mount_of(path: str, mounts: Path) -> tuple[str, str]:
    """Return type and options of the innermost mount that holds a path (proc(5), mountinfo)."""
    real = os.path.realpath(path)
    best, found = -1, ("", "")
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return found
    for line in lines:
        before, dash, after = line.partition(" - ")
        fields, tail = before.split(" "), after.split(" ")
        if not dash or len(fields) < 6 or len(tail) < 3:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4])
        inside = real == point or real.startswith(f"{point.rstrip('/')}/")
        # Of two at one place, the later one covers the earlier.
        if inside and len(point) >= best:
            best, found = len(point), (tail[0], f"{fields[5]},{tail[2]}")
    return found
