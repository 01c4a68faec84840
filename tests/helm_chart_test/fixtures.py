"""What fixtures are made of: which Helm to call, and a `render` that remembers.

README.md shows a conftest.py that uses them.
"""

import json
import os
import shlex
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from shutil import which
from typing import Any, TypeVar

from helm_chart_test.definitions import served_versions
from helm_chart_test.objects import Object
from helm_chart_test.reading import documents
from helm_chart_test.rendering import HelmError, Values, merged, notes, rendered_text

Result = TypeVar("Result")


@lru_cache(maxsize=8)
def helm_binary(variable: str, command: str, folder: Path | None = None) -> Path:
    """Return the path of a Helm.

    `variable` names an environment variable that may hold the path; else `command` is run once, in
    `folder` or the working directory, and the last line that it prints is the path. An empty
    `command` means the `helm` on the PATH. Raises RuntimeError with all that the command said.
    """
    given = os.environ.get(variable)
    if given:
        return _existing(given, f"the variable {variable}")
    if not command:
        found = which("helm")
        if found is None:
            raise RuntimeError(f"there is no helm on the PATH, and {variable} is not set")
        return Path(found)
    done = subprocess.run(
        shlex.split(command),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    if done.returncode != 0 or not done.stdout.strip():
        raise RuntimeError(
            f"`{command}` found no Helm (set {variable}):\n{done.stdout}{done.stderr}"
        )
    return _existing(done.stdout.strip().splitlines()[-1], f"`{command}`")


def _existing(text: str, source: str) -> Path:
    path = Path(text)
    if not os.access(path, os.X_OK):
        raise RuntimeError(f"{source} names {text}, which is no program")
    return path


@dataclass(frozen=True)
class Renderer:
    """`render` and its kin for one chart and one Helm, remembering what they returned.

    Treat the objects as read-only: the next test gets the same ones. `served` is what a cluster
    serves besides what the chart defines itself, for renders that do not say `api_versions`.
    """

    chart: Path
    helm: Path
    served: tuple[str, ...] = ()
    _known: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __call__(self, values: Values, **options: Any) -> list[Object]:
        """Return the rendered objects; see `rendering.render` for the options."""
        # From the text, which may be known already: a render costs more than reading it.
        return self._once(self._objects, values, options)

    def _objects(self, values: Values, **options: Any) -> list[Object]:
        return documents(self.text(values, **options))

    def text(self, values: Values, **options: Any) -> str:
        """Return the rendered text, for what YAML does not keep."""
        return self._once(self._text, values, options)

    def _text(self, values: Values, **options: Any) -> str:
        if self.served and options.get("api_versions") is None:
            options["api_versions"] = [*served_versions(self.chart), *self.served]
        return rendered_text(values, chart=self.chart, helm=self.helm, **options)

    def notes(self, values: Values, **options: Any) -> str:
        """Return what Helm tells its user after an install."""
        return self._once(self._notes, values, options)

    def _notes(self, values: Values, **options: Any) -> str:
        return notes(values, chart=self.chart, helm=self.helm, **options)

    def error(self, values: Values, **options: Any) -> str:
        """Return what Helm says when it refuses these values; fails when it takes them."""
        try:
            self(values, **options)
        except HelmError as error:
            return error.stderr
        raise AssertionError(f"Helm rendered what it should refuse: {dict(merged(values))}")

    def _once(
        self, function: Callable[..., Result], values: Values, options: Mapping[str, Any]
    ) -> Result:
        asked = [function.__name__, merged(values), dict(options)]
        key = json.dumps(asked, sort_keys=True, default=str)
        # A cluster may have changed since it was asked.
        if key not in self._known or options.get("kubeconfig"):
            self._known[key] = function(values, **options)
        result: Result = self._known[key]
        return result
