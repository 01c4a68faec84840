"""Each known defect is put back into a copy of the chart, and the test of its number fails.

The tests are called here, not collected: to start pytest anew for each would take minutes.
"""

import importlib.util
import inspect
import re
import shutil
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from helm_chart_test import HelmError
from helm_chart_test.fixtures import Renderer
from mutants.defects import DEFECTS, PutBack
from mutants.table import ATTACKS, RULES
from mutants.write_defects import PAGE, page
from support.chart import CHART
from support.checkout import ROOT

NUMBERS = (
    *(f"G{number}" for number in range(1, 11)),
    *(f"S{number}" for number in range(1, 9)),
    *(f"W{number}" for number in range(1, 11)),
    *(f"N{number}" for number in range(1, 8)),
    *(f"P{number}" for number in range(1, 6)),
)
ALL = [(defect, each) for defect in DEFECTS for each in defect.put_back]


@lru_cache(maxsize=8)
def module(path: str) -> ModuleType:
    """Return a test module, loaded once and apart from pytest's own."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def cases(function: Callable[..., None]) -> Iterator[dict[str, Any]]:
    """Yield the arguments of each case that `parametrize` makes of a test."""
    columns = []
    for mark in getattr(function, "pytestmark", []):
        names, values = mark.args[:2]
        names = names.split(",") if isinstance(names, str) else names
        rows = [value if len(names) > 1 else (value,) for value in values]
        columns.append(
            [dict(zip((name.strip() for name in names), row, strict=True)) for row in rows]
        )
    for row in product(*columns):
        yield {name: value for part in row for name, value in part.items()}


def failures(test: str, chart: Path, helm: Path, scratch: Path) -> list[Exception]:
    """Return how a test fails with this chart; stops at the first case that does."""
    path, _, name = test.partition("::")
    function = getattr(module(path), name)
    available = {"render": Renderer(chart, helm), "helm_chart": chart, "tmp_path": scratch}
    wanted = inspect.signature(function).parameters
    given = {key: value for key, value in available.items() if key in wanted}
    for case in cases(function):
        try:
            function(**given, **case)
        except (AssertionError, HelmError, LookupError) as error:  # LookupError: it is not there
            return [error]
    return []


def with_defect(defect: PutBack, folder: Path) -> Path:
    chart = folder / "chart"
    shutil.copytree(CHART, chart)
    file = chart / defect.file
    text = file.read_text("utf-8")
    assert text.count(defect.old) == 1, (
        f"{defect.file} has {text.count(defect.old)}: {defect.old!r}"
    )
    file.write_text(text.replace(defect.old, defect.new), "utf-8")
    return chart


@pytest.mark.parametrize(
    ("number", "put_back"),
    [(defect.number, each) for defect, each in ALL],
    ids=[f"{defect.number} {each.breaks}" for defect, each in ALL],
)
def test_a_defect_that_is_put_back_is_noticed(
    number: str, put_back: PutBack, helm_paths: list[Path], tmp_path: Path
) -> None:
    """Seen to fail: the test of S3 with an assertion that asks for the name alone."""
    assert put_back.function.startswith(f"test_{number.lower()}_")
    chart = with_defect(put_back, tmp_path / "copy")
    assert failures(put_back.test, chart, helm_paths[0], tmp_path), "SURVIVED"


def test_every_number_of_the_list_is_here_once() -> None:
    assert tuple(defect.number for defect in DEFECTS) == NUMBERS
    assert all(defect.put_back or defect.held for defect in DEFECTS)


def test_what_holds_a_defect_of_the_store_exists() -> None:
    """A test that was renamed holds nothing. Seen to fail: a name with a letter too many."""
    held = [each for defect in DEFECTS for each in defect.held]
    assert len(held) > 5
    rules = {mutant.rule for mutant in [*RULES, *ATTACKS]}
    for each in held:
        path, _, name = each.test.partition("::")
        text = (ROOT / path).read_text("utf-8")
        assert re.search(rf"^ *def {name}\(", text, re.MULTILINE), each.test
        assert each.rule in rules


def test_the_page_is_what_the_table_says() -> None:
    """Run: python tests/mutants/write_defects.py"""
    assert PAGE.read_text("utf-8") == page()
