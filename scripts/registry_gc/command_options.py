"""What the options of several commands have in common: lengths of time, and variables."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click

from registry_gc.errors import ConfigurationError
from registry_gc.options import duration


class _Duration(click.ParamType[timedelta]):
    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        if isinstance(value, timedelta):
            return value
        try:
            return duration(str(value))
        except ConfigurationError as error:
            self.fail(f"{error.what}: {error.next_step}", param, ctx)


DURATION = _Duration()
_Command = Callable[..., None]


def option_of(name: str, **settings: Any) -> Callable[[_Command], _Command]:
    """Make an option that can also be set as GC_<OPTION>; several values with spaces between."""
    variable = name.partition("/")[0].removeprefix("--").replace("-", "_").upper()
    return click.option(name, envvar=f"GC_{variable}", show_envvar=True, **settings)
