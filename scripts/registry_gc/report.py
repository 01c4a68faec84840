"""What people and programs are told of a collection: one mapping, as JSON or as text."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from registry_gc.collect import Outcome
from registry_gc.errors import CollectorError, LockedError
from registry_gc.plan import Plan
from registry_gc.rendering import template

Report = dict[str, object]

_PORTION = 1000  # deletions


def of_outcome(run: str, outcome: Outcome, seconds: float) -> Report:
    """Return the report of a collection that ended; its bytes are bytes, its times UTC."""
    return _report(
        run,
        "done",
        deleted={
            "blobs": outcome.blobs,
            "bytes": outcome.bytes,
            "links": outcome.links,
            "uploads": outcome.uploads,
        },
        kept=outcome.plan.seen - outcome.blobs,
        problems=outcome.problems,
        restarted=outcome.restarts,
        seconds=seconds,
    )


def of_nothing(run: str, *, dry_run: bool) -> Report:
    """Return the report of a store into which nobody has pushed yet."""
    return _report(run, "done", dry_run=dry_run)


def of_plan(run: str, plan: Plan, seconds: float) -> Report:
    """Return the report of a dry run, with every deletion and its reason."""
    report = _report(
        run,
        "planned",
        deleted={
            "blobs": len(plan.blobs),
            "bytes": plan.bytes,
            "links": len(plan.links),
            "uploads": len(plan.uploads),
        },
        kept=plan.seen - len(plan.blobs),
        problems=plan.problems,
        seconds=seconds,
        dry_run=True,
    )
    report["deletions"] = [
        {
            "kind": deletion.entry.kind.value,
            "name": str(deletion.entry),
            "bytes": deletion.stat.size,
            "reason": deletion.reason,
        }
        for deletion in (*plan.links, *plan.blobs)
    ] + [
        {
            "kind": "upload",
            "name": f"{upload.repository}/{upload.name}",
            "bytes": upload.size,
            "reason": "nobody has written to it for the upload grace period",
        }
        for upload in plan.uploads
    ]
    return report


def of_failure(run: str, error: CollectorError, seconds: float, *, dry_run: bool) -> Report:
    """Return the report of a run that did not take place or was undone."""
    outcome = "refused" if error.exit_code in (2, 3, 4) else "failed"
    report = _report(run, outcome, seconds=seconds, dry_run=dry_run, error=str(error))
    if isinstance(error, LockedError):
        report["holder"] = error.holder
    return report


def _report(
    run: str,
    outcome: str,
    *,
    deleted: Mapping[str, int] | None = None,
    kept: int = 0,
    problems: list[str] | None = None,
    restarted: int = 0,
    seconds: float = 0.0,
    dry_run: bool = False,
    error: str | None = None,
) -> Report:
    return {
        "run": run,
        "outcome": outcome,
        "dryRun": dry_run,
        "deleted": dict(deleted or {"blobs": 0, "bytes": 0, "links": 0, "uploads": 0}),
        "kept": {"blobs": kept},
        "problems": list(problems or []),
        "restarted": restarted,
        "seconds": round(seconds, 3),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "error": error,
    }


def as_json(report: Mapping[str, object]) -> Iterator[str]:
    """Yield a report as JSON, in parts: a large store's plan has hundreds of thousands of lines."""
    deletions = report.get("deletions")
    if not isinstance(deletions, list):
        yield json.dumps(report)
        return
    rest = json.dumps({key: value for key, value in report.items() if key != "deletions"})
    yield f'{rest[:-1]}, "deletions": ['
    for start in range(0, len(deletions), _PORTION):
        separator = ", " if start else ""
        yield separator + json.dumps(deletions[start : start + _PORTION])[1:-1]
    yield "]}"


def text(report: Mapping[str, object]) -> str:
    """Return a report in plain words; what it lacks counts as nothing: a dead run's has little."""
    said = (
        template("report.txt.j2").render(**{"deletions": [], **_report("", ""), **report}).strip()
    )
    # Names on a volume may be any bytes; not every terminal takes what Python makes of those.
    return said.encode("utf-8", "backslashreplace").decode("utf-8")
