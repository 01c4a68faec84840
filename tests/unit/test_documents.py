"""What the documents point at is there: files, headings, values, tests."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.checkout import ROOT

DOCUMENTS = [
    *sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "chart/README.md"
]  # fmt: skip
VALUES: dict[str, Any] = yaml.safe_load((ROOT / "chart/values.yaml").read_text("utf-8"))
# What people write there is theirs, or the registry's.
OPEN = {"configData", "configSecret", "s3", "azure", "gcs", "swift"}


@pytest.fixture(params=DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def document(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {text.replace(" ", "-") for text in kept}


def test_links_lead_somewhere(document: Path) -> None:
    """Seen to fail: a page that was renamed; a heading that was."""
    text = document.read_text("utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path) if path else document
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_values_that_are_named_exist(document: Path) -> None:
    """`garbageCollect.periods` in a sentence. Seen to fail: that one."""
    text = document.read_text("utf-8")
    for name in re.findall(r"`([a-zA-Z][\w]*(?:\.\w+)+)[`:=]", text):
        first, *rest = name.split(".")
        if first not in VALUES or first in OPEN:
            continue
        at: Any = VALUES[first]
        for key in rest:
            if not isinstance(at, dict) or not at:
                break  # what is below is a pod's, a Service's, the user's
            assert key in at, name
            at = at[key]


def test_tests_that_are_named_exist(document: Path) -> None:
    text = document.read_text("utf-8")
    for name in re.findall(r"`(?:tests/)?((?:chart|e2e|registry|unit)/test_\w+\.py)", text):
        assert (ROOT / "tests" / name).exists(), name
