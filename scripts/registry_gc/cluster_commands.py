"""The commands that the chart's Jobs run in a cluster: certificates, addresses, trust, read-only.

Each reads its settings from variables that begin with GC_; `from_environment` of each names them.
"""

import os
import signal
import sys
from threading import Event, Thread

import click

from registry_gc.failing import Failing
from registry_gc.options import duration


@click.command()
@click.option("--remove", is_flag=True, help="Remove both Secrets, before an uninstall.")
def certificates(*, remove: bool) -> None:
    """Make the release's own certificate, or renew it where that is due.

    Before an install and an upgrade, because the registry's pod needs the Secret. What is good is
    kept as it is; a Secret that is not this release's is never touched.
    """
    # Here, because each role has its own libraries, and the sidecar's process must be small.
    from registry_gc import certificate_secrets, endpoint, kube_client
    from registry_gc.endpoint_settings import EndpointSettings

    nothing = certificate_secrets.NOTHING
    _end_when_told()
    with Failing():
        settings = EndpointSettings.from_environment(os.environ, nothing, _namespace(nothing))
        api = kube_client.api(nothing)
        if not remove:
            seen = endpoint.look(api, settings, click.echo)
            endpoint.keep_certificate(api, settings, seen, click.echo)
        elif settings.certificate is not None:
            certificate_secrets.remove(api, settings.certificate, click.echo)


@click.command()
@click.option("--remove", is_flag=True, help="Remove all that was made, before an uninstall.")
@click.option(
    "--now",
    is_flag=True,
    help="After an install or upgrade, which waits for it: only the certificate and the address.",
)
@click.option(
    "--withdraw",
    is_flag=True,
    help="Have every node forget the registry; the RegistryEndpoint stays until `--now`.",
)
def endpoint(*, remove: bool, now: bool, withdraw: bool) -> None:
    """Bring the RegistryEndpoint up to date, and what belongs to it: the certificate and who serves
    it, read-only that a dead run left, the ConfigMap for local tools.
    """
    if remove + now + withdraw > 1:
        raise click.UsageError("--remove, --now and --withdraw exclude each other.")
    from registry_gc import endpoint as role
    from registry_gc import kube_client, withdrawal
    from registry_gc.endpoint_settings import EndpointSettings

    _end_when_told()
    with Failing():
        settings = EndpointSettings.from_environment(
            os.environ, role.NOTHING, _namespace(role.NOTHING)
        )
        api = kube_client.api(role.NOTHING)
        if remove:
            withdrawal.remove(api, settings, click.echo)
        elif withdraw:
            withdrawal.tell_nodes(api, settings, click.echo)
        elif now:
            role.run_now(api, settings, click.echo)
        else:
            role.run(api, settings, click.echo)


@click.command("node-trust")
@click.option("--once", is_flag=True, help="Look once; exit 1 if something is not as it should be.")
@click.option("--remove", is_flag=True, help="Remove all files of this release from the node.")
def node_trust(*, once: bool, remove: bool) -> None:
    """Keep the files by which this node's container runtime trusts the registry.

    Until told to stop; the files stay then. They go when the release is uninstalled.
    """
    from registry_gc import in_cluster
    from registry_gc import node_trust as role

    with Failing():
        settings = role.NodeTrustSettings.from_environment(os.environ)
        if remove:
            role.remove(settings, click.echo)
            return
        trust = role.NodeTrust(settings, in_cluster.api(role.NOTHING), click.echo)
        if once:
            sys.exit(0 if trust.look() else 1)
        stop = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            # By a thread: a handler that met `wait` inside the Event would wait for itself.
            signal.signal(number, lambda _number, _frame: Thread(target=stop.set).start())
        trust.follow(stop)


@click.command("read-only")
@click.argument("state", type=click.Choice(["on", "off", "settle"]))
@click.option(
    "--for", "lasting", help="How long `on` holds, such as 1h; else GC_READ_ONLY_EXPIRES."
)
def read_only(state: str, lasting: str | None) -> None:
    """Switch the release's registries to read-only, or back.

    Each is restarted in place and then probed. When its time is over `on` is taken back; `settle`
    takes back only what nobody holds any more.
    """
    from registry_gc import kube_client
    from registry_gc.endpoint_settings import EndpointSettings
    from registry_gc.errors import ConfigurationError
    from registry_gc.read_only import Switch
    from registry_gc.read_only_settings import NOTHING

    _end_when_told()
    with Failing():
        settings = EndpointSettings.from_environment(os.environ, NOTHING, _namespace(NOTHING))
        if settings.switch is None:
            raise ConfigurationError(
                f"{NOTHING}: it is not known which registries those are",
                why="GC_MODE, GC_SELECTOR and GC_TOKEN_FILE say so, and one is not set",
                next_step="run it as the chart does: `kubectl create job --from=cronjob/…` with "
                "garbageCollect.readOnly",
            )
        asked = settings.switch
        if lasting is not None:
            asked = asked.lasting(duration(lasting))
        switch = Switch(kube_client.api(NOTHING), asked, click.echo)
        {"on": switch.on, "off": switch.off, "settle": switch.settle}[state]()


def _end_when_told() -> None:
    """End at SIGTERM: the first process of a container would not, and be killed much later."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))


def _namespace(consequence: str) -> str:
    """Return the pod's own namespace where no variable says another."""
    from registry_gc import kube_client

    return "" if os.environ.get("GC_NAMESPACE") else kube_client.own_namespace(consequence)


ALL = (certificates, endpoint, node_trust, read_only)
