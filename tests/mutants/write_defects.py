"""Write docs/develop/defects.md from the table of defects.

python tests/mutants/write_defects.py
"""

import sys
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from mutants.defects import DEFECTS, Defect

PAGE = Path(__file__).resolve().parents[2] / "docs" / "develop" / "defects.md"
_HEAD = """\
# Known defects, and what keeps each away

What was wrong with the charts that people come from: garbage collection (G), secrets and upgrades
(S), the workload (W), Service, Ingress and metrics (N), packaging (P). Each has a test named by its
number, `test_w1_...`, and is put back on purpose into a copy of the chart, where that test must
fail: `tests/chart/test_defects_put_back.py`, a part of the gate. What a collection does to a store
is held by the collector's own tests, which its broken rules fail (`make mutants`).

Made by `python tests/mutants/write_defects.py` from `tests/mutants/defects.py`.

| number | defect | test | what fails it |
| --- | --- | --- | --- |
"""


def rows(defect: Defect) -> Iterator[str]:
    """Yield a line for each way in which a defect is put back or held."""
    number, told = defect.number, defect.told
    for each in defect.put_back:
        yield f"| {number} | {told} | `{each.function}` | {each.breaks} (`{each.file}`) |"
        number = told = ""
    for held in defect.held:
        path, _, name = held.test.partition("::")
        yield f"| {number} | {told} | `{name}` in `{path}` | {held.rule} broken |"
        number = told = ""


def page() -> str:
    """Return the page's text."""
    return _HEAD + "\n".join(row for defect in DEFECTS for row in rows(defect)) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
