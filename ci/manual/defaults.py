"""Make defaults.yaml: the values without the words.

`helm upgrade --reuse-values` renders with the values of an older chart, so the templates need the
defaults of what is new from somewhere else, and Helm does not let them read values.yaml.
"""

import yaml

_HEAD = """\
# values.yaml without its words, for upgrades that bring the values of an older chart.
# Made by `make manual`; `make lint` says when it is out of date.
"""


def defaults(values: str) -> str:
    """Return what defaults.yaml must say, from the text of values.yaml."""
    return _HEAD + yaml.safe_dump(yaml.safe_load(values), sort_keys=False, width=100)
