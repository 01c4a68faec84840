"""The command that `helm test` runs: an image there and back."""

from datetime import timedelta
from pathlib import Path

import click

from registry_gc.command_options import DURATION, option_of
from registry_gc.failing import Failing

_EXIT_CODES = """
\b
Exit codes:
  0  the image came back byte for byte; or what was asked for holds
  1  the registry answers, but not as one that works: the sentence says what is wrong
  2  wrong usage
  3  it refuses the credentials, or wants some
  6  nothing answers
"""


@click.command(epilog=_EXIT_CODES, context_settings={"show_default": True})
@click.argument("url")
@option_of("--username", help="Who logs in. Empty: nobody.")
@option_of("--password", help="Better given as the variable, which other processes do not see.")
@option_of(
    "--tls-folder",
    type=click.Path(path_type=Path),
    help="A TLS Secret's files. The registry's certificate must be signed by its ca.crt or, "
    "without one, be its tls.crt and no other; it need not name the host of URL. Without a folder: "
    "as any client trusts.",
)
@option_of(
    "--any-certificate",
    is_flag=True,
    help="Without a folder: whatever certificate is shown counts.",
)
@option_of("--into", default="registry-gc/roundtrip", help="The repository that is pushed to.")
@option_of("--timeout", type=DURATION, default="1m", help="How long to wait for a first answer.")
@option_of(
    "--push-nothing", is_flag=True, help="For a pull-through cache, and while nobody may push."
)
@option_of("--expect-refusal", is_flag=True, help="Only that nobody gets in without credentials.")
@option_of("--must-delete", is_flag=True, help="That the registry deletes counts too.")
def roundtrip(
    url: str,
    username: str | None,
    password: str | None,
    tls_folder: Path | None,
    into: str,
    timeout: timedelta,
    *,
    any_certificate: bool,
    **flags: bool,
) -> None:
    """Push a small image to the registry at URL, pull it back byte for byte, delete it.

    What `helm test` runs. The image is the same each time.
    """
    from registry_gc.registry_client import Registry, Trust
    from registry_gc.roundtrip import RoundtripOptions
    from registry_gc.roundtrip import roundtrip as tried

    with Failing():
        trust = Trust(tls_folder, anything=any_certificate)
        registry = Registry(url, trust, username or "", password or "")
        tried(registry, RoundtripOptions(into, timeout, **flags), click.echo)
