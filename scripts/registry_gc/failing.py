"""How every command ends when something fails that its reader can act on."""

import sys

import click

from registry_gc.errors import CollectorError


class Failing:
    """Turns such a failure into its sentence and its exit code."""

    def __enter__(self) -> None:
        """Let anything happen."""
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Print the sentence and exit, if there is one."""
        if isinstance(error, CollectorError):
            click.echo(str(error), err=True)
            sys.exit(error.exit_code)
