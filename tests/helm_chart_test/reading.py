"""Read YAML as Helm and the cluster do: by the rules of YAML 1.1 as Go's parser has them.

PyYAML takes `1e3` and `y` for text, Go takes them for a number and a boolean. A template that
forgets its quotes would look right in a test and be refused by the cluster.
Source: gopkg.in/yaml.v2, resolve.go, which sigs.k8s.io/yaml uses.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from helm_chart_test.objects import Object

if TYPE_CHECKING:
    from yaml import SafeLoader as _Base
else:
    # Five times faster; a PyYAML without libyaml has only the other.
    _Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _GoLoader(_Base):
    """The safe loader with the scalars that Go takes for something else."""


_GoLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)
_GoLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^[yYnN]$"), list("yYnN"))


def _boolean(loader: Any, node: Any) -> bool:
    return str(loader.construct_scalar(node)).lower() in {"y", "yes", "true", "on"}


_GoLoader.add_constructor("tag:yaml.org,2002:bool", _boolean)


def documents(text: str) -> list[Object]:
    """Return the documents of a YAML stream, empty ones left out."""
    found = yaml.load_all(text, Loader=_GoLoader)
    return [document for document in found if document is not None]


def mapping(path: Path) -> dict[str, Any]:
    """Return what a file of values says; an empty one says nothing."""
    loaded = yaml.load(path.read_text(encoding="utf-8"), Loader=_GoLoader)
    if not isinstance(loaded, dict | None):
        raise TypeError(f"{path} is not a map")
    return loaded or {}
