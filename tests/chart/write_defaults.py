"""Write chart/defaults.yaml: the values of values.yaml without its words.

`helm upgrade --reuse-values` renders with the values of an older chart, so the templates need the
defaults of what is new from somewhere else, and Helm does not let them read values.yaml.

    python tests/chart/write_defaults.py
"""

from pathlib import Path

import yaml

CHART = Path(__file__).parents[2] / "chart"
_HEAD = """\
# values.yaml without its words, for upgrades that bring the values of an older chart.
# Made by `python tests/chart/write_defaults.py`; tests/chart says when it is out of date.
"""


def defaults() -> str:
    """Return what chart/defaults.yaml must say."""
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    return _HEAD + yaml.safe_dump(values, sort_keys=False, width=100)


if __name__ == "__main__":
    (CHART / "defaults.yaml").write_text(defaults(), "utf-8")
