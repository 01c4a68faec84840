"""Copies of the collector with one change: a rule broken on purpose, as a control that must lose
something, or a step that takes long.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from support.checkout import SCRIPTS


@dataclass(frozen=True)
class Change:
    """One change of a module's text, which must apply exactly once."""

    module: str
    old: str
    new: str


WITHOUT_RESTART = Change(
    "descriptor_cache.py",
    "restart(registry, self.config, self.config_path, meanwhile=meanwhile)",
    "pass",
)
_TAKE_BLOBS = "self._take(healing.still_dead(found.blobs), journal, outcome, healing)"
# As long as a large store takes from the last scan to the burial: a push fits in between.
_SLOWLY = (
    "dead = healing.still_dead(found.blobs)\n"
    "        self.wait(3)\n"
    "        self._take(dead, journal, outcome, healing)"
)
# Not a control: nothing may be lost by it.
SLOW = Change("collect.py", _TAKE_BLOBS, _SLOWLY)
# Blobs are deleted where they would be moved away, so nothing can be put back.
SLOW_WITHOUT_BURIAL = Change(
    "collect.py",
    _TAKE_BLOBS,
    f"{_SLOWLY}\n"
    "        for entry, away in journal.taken.items():\n"
    "            if entry.kind is Kind.BLOB:\n"
    "                self.store.remove(away)",
)


def altered(folder: Path, change: Change) -> Path:
    """Return a copy of scripts/ with the change, for PYTHONPATH."""
    copy = folder / "scripts"
    shutil.copytree(SCRIPTS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    module = copy / "registry_gc" / change.module
    text = module.read_text()
    assert text.count(change.old) == 1, f"{change.module} has not once: {change.old}"
    module.write_text(text.replace(change.old, change.new))
    return copy
