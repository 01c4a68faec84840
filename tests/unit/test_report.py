"""What people and programs are told; no golden text, only what must be in it."""

import json
import os

import pytest

from registry_gc import rendering, report
from registry_gc.collect import Outcome
from registry_gc.errors import (
    CollectorError,
    ConfigurationError,
    GuardError,
    LockedError,
    RegistryDownError,
    StorageError,
)
from registry_gc.inventory import Upload
from registry_gc.layout import Entry, Kind, digest_of
from registry_gc.plan import Deletion, Plan
from registry_gc.storage import Stat

HEX = "ab" * 32


def deletion(kind: Kind, size: int) -> Deletion:
    return Deletion(
        Entry(kind, "" if kind is Kind.BLOB else "app", digest_of("sha256", HEX)),
        "because",
        Stat(size, 0, 0, 0),
    )


@pytest.fixture
def plan() -> Plan:
    return Plan(
        links=[deletion(Kind.LAYER_LINK, 71)],
        blobs=[deletion(Kind.BLOB, 1536), deletion(Kind.BLOB, 512)],
        uploads=[Upload("app", "u1", (), (), 100, 0, 0)],
        problems=["something is damaged"],
        seen=10,
    )


class TestSums:
    def test_of_a_plan(self, plan: Plan) -> None:
        """The sums add up: what goes and what is kept is all there is."""
        found = report.of_plan("r", plan, 1.23456)

        assert found["deleted"] == {"blobs": 2, "bytes": 2148, "links": 1, "uploads": 1}
        assert found["kept"] == {"blobs": 8}
        assert found["seconds"] == 1.235
        deletions = found["deletions"]
        assert isinstance(deletions, list)
        assert [each["kind"] for each in deletions] == ["layer link", "blob", "blob", "upload"]
        assert all(each["reason"] for each in deletions)
        assert json.loads(json.dumps(found)) == found

    def test_of_an_outcome(self, plan: Plan) -> None:
        """What was done is counted, not what was planned."""
        outcome = Outcome(plan, problems=plan.problems)
        outcome.count(plan.blobs[0])
        outcome.count(plan.links[0])

        found = report.of_outcome("r", outcome, 0)

        assert found["deleted"] == {"blobs": 1, "bytes": 1536, "links": 1, "uploads": 0}
        assert found["kept"] == {"blobs": 9}


class TestText:
    def test_a_dry_run_says_would(self, plan: Plan) -> None:
        text = report.text(report.of_plan("r", plan, 0))

        assert "would delete 2 blobs (2.1 KiB), 1 links and 1 uploads, and keep 8 blobs" in text
        assert f"sha256:{HEX} (1.5 KiB): because" in text, "whole digests"
        assert "something is damaged" in text
        assert "Deleted" not in text

    @pytest.mark.parametrize(
        ("restarts", "said"), [(0, "not restarted"), (1, "restarted 1 time."), (2, "2 times")]
    )
    def test_a_real_one_says_what_it_did(self, plan: Plan, restarts: int, said: str) -> None:
        text = report.text(report.of_outcome("r", Outcome(plan, restarts=restarts), 0))

        assert said in text
        assert "would" not in text
        assert "Problems" not in text

    def test_nothing(self) -> None:
        assert "Deleted 0 blobs (0 B freed)" in report.text(report.of_nothing("r", dry_run=False))
        assert "would delete 0" in report.text(report.of_nothing("r", dry_run=True))


def test_what_a_dead_run_left_is_text_too() -> None:
    """The sidecar makes such a report for a child that was killed. Seen to fail: no defaults."""
    said = report.text({"run": "r", "outcome": "failed", "error": "it died"})

    assert said.splitlines() == ["it died", "Run r took 0.0 s."]


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        (ConfigurationError, "refused"),
        (GuardError, "refused"),
        (LockedError, "refused"),
        (StorageError, "failed"),
        (RegistryDownError, "failed"),
    ],
)
def test_of_a_failure(kind: type[CollectorError], outcome: str) -> None:
    error = kind("what", why="why", next_step="next")

    found = report.of_failure("r", error, 0, dry_run=False)

    assert found["outcome"] == outcome
    assert found["deleted"] == {"blobs": 0, "bytes": 0, "links": 0, "uploads": 0}
    assert report.text(found).split()[:5] == ["what", "why:", "why", "next:", "next"]
    assert ("holder" in found) is (kind is LockedError)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (5 * 2**30, "5.0 GiB"),
     (3 * 2**40, "3.0 TiB"), (5000 * 2**40, "5000.0 TiB")],
)  # fmt: skip
def test_sizes(count: int, text: str) -> None:
    assert rendering.size(count) == text


def test_a_name_that_is_no_text_can_be_printed(plan: Plan) -> None:
    """A file's name on the volume may be any bytes. Seen to fail: print it as Python has it."""
    name = os.fsdecode(b"a\xff")
    plan.problems.append(f"unknown folder kept: {name}")

    said = report.text(report.of_plan("r", plan, 1.0))

    assert b"kept: a\\udcff" in said.encode("utf-8")


@pytest.mark.parametrize("count", [None, 0, 1, 2500])
def test_json_in_parts_is_the_same_json(count: int | None) -> None:
    """Seen to fail: forget the separator between two portions."""
    told: dict[str, object] = {"run": "a", "kept": {"blobs": 1}}
    if count is not None:
        told["deletions"] = [{"name": f"blob {number}"} for number in range(count)]

    assert json.loads("".join(report.as_json(told))) == told
