"""The command line: it parses, calls one function, prints, and exits with what that returned."""

import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import click

from registry_gc import __version__, cluster_commands, roundtrip_command
from registry_gc import report as reports
from registry_gc.command_options import DURATION, option_of
from registry_gc.errors import StoppedError
from registry_gc.failing import Failing
from registry_gc.options import CollectOptions
from registry_gc.progress import Progress
from registry_gc.registry_config import DEFAULT_PATHS
from registry_gc.report import Report
from registry_gc.run import Run

_EXIT_CODES = """
\b
Exit codes:
  0  done
  1  done, with problems that the report names; or stopped, with everything put back
  2  wrong usage or configuration
  3  refused by a guard; the sentence says how to go on
  4  another collector, or a check, holds the store
  5  the storage failed
  6  the registry did not come back; everything was put back
"""


_CHECK_EXIT_CODES = """
\b
Exit codes:
  0  sound
  1  problems found, each named with what to do about it
  2  wrong usage or configuration
  3  refused by a guard
  4  a collection goes on; check when it has ended
  5  the storage failed
"""


_Command = Callable[..., None]


def _collect_options(command: _Command) -> _Command:
    options = (
        click.argument("config", required=False, type=click.Path(path_type=Path)),
        option_of(
            "--grace-period",
            type=DURATION,
            default="1h",
            help="Least age of what may go; more than your slowest push takes.",
        ),
        option_of(
            "--settle-period",
            type=DURATION,
            default="60s",
            help="Wait after the unlinking, and again after the burial; more than the registry "
            "takes to handle one manifest.",
        ),
        option_of(
            "--upload-grace-period",
            type=DURATION,
            default="7d",
            help="Uploads that nobody has written to for so long are abandoned.",
        ),
        option_of(
            "--delete-untagged/--keep-untagged",
            default=True,
            help="Whether manifests that no tag leads to go.",
        ),
        option_of(
            "--restart",
            type=click.Choice(["auto", "always", "never"]),
            default="auto",
            help="Whether a registry with its descriptor cache in memory may be restarted; auto "
            "is yes where the sidecar collects, because the kubelet starts it again, else no.",
        ),
        option_of("--offline", is_flag=True, help="No registry uses this store now."),
        option_of(
            "--read-only",
            is_flag=True,
            help="The registry is read-only, which is checked: the grace and settle periods count "
            "as zero.",
        ),
        option_of(
            "--quarantine",
            type=DURATION,
            default="0",
            help="Keep what was deleted for so long, for `registry-gc restore`; the space is free "
            "only after that.",
        ),
        option_of(
            "--max-delete-ratio",
            type=click.FloatRange(0, 1),
            default=0.8,
            help="Refuse to remove more than this share of more than 100 blobs.",
        ),
        option_of(
            "--repository",
            multiple=True,
            metavar="PATTERN",
            help="Only remove from repositories of this pattern, such as 'team/*'; all others are "
            "still looked at. May be given several times.",
        ),
        option_of(
            "--max-duration",
            type=DURATION,
            help="Stop, and put everything back, if it takes longer than this.",
        ),
        option_of("--output", type=click.Choice(["text", "json"]), default="text"),
    )
    for option in reversed(options):
        command = option(command)
    return command


class _Commands(click.Group):
    """A group whose list of commands has their whole first sentences: click cuts them."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each command with its first sentence, on as many lines as it takes."""
        rows = [
            (name, command.get_short_help_str(500))
            for name in self.list_commands(ctx)
            if (command := self.get_command(ctx, name))
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(cls=_Commands, epilog=_EXIT_CODES, context_settings={"show_default": True})
@click.version_option(__version__, prog_name="registry-gc")
def main() -> None:
    """Garbage collection for the CNCF distribution registry, safe while people push.

    CONFIG is the registry's configuration file. What `collect`, `plan`, `check` and
    `roundtrip` take can also be set as GC_<OPTION>.
    """


@main.command(epilog=_EXIT_CODES)
@_collect_options
@option_of("--dry-run", is_flag=True, help="Only say what would go, and why; as `plan` does.")
def collect(**arguments: Any) -> None:
    """Delete what nothing needs.

    Takes a little more than twice the settle period. Nothing is removed for good before its last
    phase; whatever ends it earlier puts everything back.
    """
    _run(**arguments)


@main.command(epilog=_EXIT_CODES)
@_collect_options
def plan(**arguments: Any) -> None:
    """Say what a collection would delete, and why; change nothing."""
    _run(**arguments, dry_run=True)


@main.command()
@click.argument("config", required=False, type=click.Path(path_type=Path))
@click.option("--output", type=click.Choice(["text", "json"]), default="text")
def report(config: Path | None, output: str) -> None:
    """Print the report of the last collection."""
    with Failing():
        last = _run_of(config).last_report()
        if last is None:
            click.echo("This store has not been collected yet.")
        else:
            _print(last, output)


@main.command()
@click.argument("config", required=False, type=click.Path(path_type=Path))
def recover(config: Path | None) -> None:
    """End what a run left that was killed: finish its removal, or put back what it took."""
    with Failing():
        count = _run_of(config).recover()
        click.echo(f"{count} files were put back." if count else "Nothing was left to do.")


@main.command()
@click.argument("config", required=False, type=click.Path(path_type=Path))
def restore(config: Path | None) -> None:
    """Put back everything that is still in quarantine (see --quarantine)."""
    with Failing():
        restored = _run_of(config).restore()
        click.echo("\n".join([*restored, f"{len(restored)} files were restored."]))


@main.command(epilog=_CHECK_EXIT_CODES)
@click.argument("config", required=False, type=click.Path(path_type=Path))
@option_of(
    "--read-data",
    is_flag=True,
    help="Also read every blob and compute its digest; takes as long as it takes to read all.",
)
@option_of(
    "--repair",
    is_flag=True,
    help="Write empty and corrupt links anew where what they should hold is known. No blob is ever "
    "removed.",
)
@option_of(
    "--grace-period",
    type=DURATION,
    default="1h",
    help="What is younger is not repaired: somebody may be writing it.",
)
@option_of("--output", type=click.Choice(["text", "json"]), default="text")
def check(
    config: Path | None, *, read_data: bool, repair: bool, grace_period: timedelta, output: str
) -> None:
    """Check the store as fsck checks a file system: what is wrong, how bad it is, what to do.

    Safe beside a registry that is in use. Without --repair nothing is changed.
    """
    from registry_gc.checking import report as check_report

    with Failing():
        run = Run(_config_path(config), CollectOptions(grace_period=grace_period), os.environ)
        told = Progress(sys.stderr)
        found, seconds = run.check(read_data=read_data, repair=repair, progress=told.read)
        told.enter("done")
        if output == "json":
            click.echo(json.dumps(check_report.as_mapping(run.run_id, found, seconds)))
        else:
            click.echo(check_report.text(found, seconds))
        sys.exit(found.exit_code)


@main.command()
@click.argument("config", required=False, type=click.Path(path_type=Path))
@click.option("--write-test", is_flag=True, help="Also make and remove a file on the volume.")
def preflight(config: Path | None, *, write_test: bool) -> None:
    """Say what this image sees of the registry; the chart runs it before it changes anything."""
    with Failing():
        click.echo(_run_of(config).preflight(write_test=write_test))


@main.command()
@click.argument("config", required=False, type=click.Path(path_type=Path))
def sidecar(config: Path | None) -> None:
    """Collect in the registry's pod: every GC_PERIOD, and when asked over HTTP."""
    # Here, because each role has its own libraries, and the sidecar's process must be small.
    from registry_gc.sidecar import SidecarSettings, serve

    with Failing():
        sys.exit(serve(SidecarSettings.from_environment(os.environ, _config_path(config))))


@main.command()
def hook() -> None:
    """Ask the release's sidecar to collect, wait for it and print its report.

    With GC_READ_ONLY it makes the registry read-only for that time, and takes that back.
    """
    from registry_gc.hook import HookSettings, run

    with Failing():
        signal.signal(signal.SIGTERM, _told_to_end)
        try:
            sys.exit(run(HookSettings.from_environment(os.environ), click.echo))
        except _ToldToEndError as error:
            raise StoppedError(
                "the collection was not waited for; if it goes on, it is safe",
                why="this job was told to end",
                next_step="`registry-gc report` in the gc container shows how it ended",
            ) from error


class _ToldToEndError(BaseException):
    """SIGTERM, as an error: what was made read-only is taken back on the way out. No failure of a
    collection, which many places handle and go on.
    """


def _told_to_end(_number: int, _frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _ToldToEndError


def _run(
    config: Path | None, output: str, repository: tuple[str, ...] = (), **options: Any
) -> None:
    with Failing():
        stop = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            # By a thread: a handler that met `wait` inside the Event would wait for itself.
            signal.signal(number, lambda _number, _frame: Thread(target=stop.set).start())
        run = Run(
            _config_path(config),
            CollectOptions(repositories=repository, **options),
            os.environ,
            stop,
            progress=Progress(sys.stderr),
        )
        done, code = run.collect()
        _print(done, output)
        sys.exit(code)


def _run_of(config: Path | None) -> Run:
    """Return a run for the commands that collect nothing and so have no options."""
    return Run(_config_path(config), CollectOptions(), os.environ)


def _print(done: Report, output: str) -> None:
    if output == "json":
        for part in reports.as_json(done):
            click.echo(part, nl=False)
        click.echo()
    elif done["error"]:
        click.echo(done["error"], err=True)
    else:
        click.echo(reports.text(done))


def _config_path(given: Path | None) -> Path:
    if given is not None:
        return given
    return next((path for path in DEFAULT_PATHS if path.exists()), DEFAULT_PATHS[0])


for _command in (roundtrip_command.roundtrip, *cluster_commands.ALL):
    main.add_command(_command)
