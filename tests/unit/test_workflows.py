"""The workflows of hosted CI: what actionlint does not ask. That one runs in `make lint`."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.checkout import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


@pytest.fixture
def workflow(path: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(path.read_text("utf-8"))
    return found


def test_there_are_two() -> None:
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "release.yml"]


def test_every_action_is_pinned_to_a_commit_that_says_its_version(path: Path) -> None:
    """A tag can be moved. Seen to fail: actions/checkout@v7."""
    used = re.findall(r"uses: (.+)", path.read_text("utf-8"))

    assert used
    for action in used:
        own = action.startswith("./.github/workflows/")
        assert own or re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_nothing_is_allowed_that_is_not_needed(workflow: dict[Any, Any]) -> None:
    """Seen to fail: `contents: write`; a checkout that leaves its token in .git/config."""
    assert workflow["permissions"] == {}
    steps = [step for job in workflow["jobs"].values() for step in job.get("steps", [])]
    for job in workflow["jobs"].values():
        assert job["permissions"] == {"contents": "read"}
    checkouts = [step for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_every_job_ends(workflow: dict[Any, Any]) -> None:
    assert "concurrency" in workflow
    for job in workflow["jobs"].values():
        assert "uses" in job or job["timeout-minutes"] <= 120


def test_no_text_of_others_becomes_shell(workflow: dict[Any, Any]) -> None:
    """A tag's or a branch's name is whatever its pusher wrote: it comes as a variable."""
    runs = [step["run"] for job in workflow["jobs"].values() for step in job.get("steps", [])
            if "run" in step]  # fmt: skip

    assert runs
    assert not [run for run in runs if "${{" in run]


def test_what_is_made_is_a_target(path: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):.*##", MAKEFILE, re.MULTILINE))
    asked = set(
        re.findall(r"^\s*(?:- run: )?make ([a-z0-9-]+)", path.read_text("utf-8"), re.MULTILINE)
    )

    assert asked
    assert asked <= targets


def test_the_matrix_begins_with_the_oldest_that_the_chart_allows() -> None:
    """Seen to fail: another kubeVersion; a node image without its digest."""
    ci = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    rows = ci["jobs"]["kubernetes"]["strategy"]["matrix"]["include"]
    chart = yaml.safe_load((ROOT / "chart/Chart.yaml").read_text("utf-8"))
    versions = [row["version"] for row in rows]

    assert versions == sorted(versions)
    assert chart["kubeVersion"].startswith(f">={versions[0]}.")
    for row in rows:
        pattern = rf"kindest/node:v{re.escape(row['version'])}\.\d+@sha256:[0-9a-f]{{64}}"
        assert re.fullmatch(pattern, row["node"]), row
