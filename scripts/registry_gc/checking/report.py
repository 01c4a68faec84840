"""How a check is told: as one mapping for JSON, or as text, the worst first."""

from registry_gc.checking.findings import Checked, Finding, Harm
from registry_gc.rendering import template


def as_mapping(run: str, checked: Checked, seconds: float) -> dict[str, object]:
    """Return what `check --output json` prints.

    `problems` are what is left to do something about, `normal` what registries leave or lack by
    themselves, `repaired` what `--repair` mended.
    """
    return {
        "run": run,
        "sound": not checked.problems,
        "checked": {
            "blobs": checked.blobs,
            "bytes": checked.bytes,
            "links": checked.links,
            "manifests": checked.manifests,
            "repositories": checked.repositories,
        },
        "pullThroughCache": checked.is_cache,
        "problems": [each.as_mapping() for each in checked.problems],
        "repaired": [each.as_mapping() for each in checked.findings if each.repaired],
        "normal": [each.as_mapping() for each in _normal(checked)],
        "seconds": round(seconds, 3),
    }


def text(checked: Checked, seconds: float) -> str:
    """Return a check in plain words; names may be any bytes, so they are shown safely."""
    said = template("check.txt.j2").render(
        checked=checked,
        groups=[(harm, [e for e in checked.problems if e.harm is harm]) for harm in Harm],
        repaired=[each for each in checked.findings if each.repaired],
        normal=_normal(checked),
        seconds=seconds,
    )
    return said.strip()


def _normal(checked: Checked) -> list[Finding]:
    return [each for each in checked.findings if not each.harm.is_problem]
