"""Read-only on demand, with the real registries: what a probe sees, and that no image is lost."""

import pytest

from registry.conftest import StartRegistry
from registry_gc.registry_config import load
from registry_gc.registry_control import RegistryControl
from registry_gc.registry_http import takes_pushes
from registry_gc.sidecar_runs import Runs
from support.client import Refused, image
from support.collector import collect
from support.registry_process import RegistryProcess
from support.waiting import until

READ_ONLY = {"REGISTRY_STORAGE_MAINTENANCE_READONLY": '{"enabled":true}'}
IN_MEMORY = {"REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR": "inmemory"}


def switched(registry: RegistryProcess, *, read_only: bool) -> None:
    """Do what a sidecar does; the environment is what the kubelet resolves."""
    runs = Runs(["collector"], registry.config_path, {})
    control = RegistryControl(registry.config_path, {}, runs, lambda _seconds: None)
    registry.environment = IN_MEMORY | (READ_ONLY if read_only else {})
    assert control.request(f'{{"readOnly": {str(read_only).lower()}}}'.encode()).status == 202
    until(lambda: not control.state()["restarting"], what="it was started anew")
    state = control.state()
    assert (state["readOnly"], state["error"]) == (read_only, "")


@pytest.mark.parametrize("version", ["3.1.1", "3.0", "2.8"])
def test_a_probe_tells_and_leaves_no_trace(start_registry: StartRegistry, version: str) -> None:
    """A probe that opens an upload would leave one behind. Seen to fail: POST an upload."""
    open_to_all = start_registry(version=version)
    closed = start_registry(version=version, environment=READ_ONLY)

    assert takes_pushes(load(open_to_all.config_path, {})) is True
    assert takes_pushes(load(closed.config_path, READ_ONLY)) is False
    assert not list(open_to_all.root.rglob("*"))


def test_nobody_pushes_everybody_pulls_and_nothing_is_lost(start_registry: StartRegistry) -> None:
    """Two restarts, none of them the collection's, and the memory of before is gone.

    Seen to fail: let `Memory.in_memory` ask for the cache alone; keep the grace period.
    """
    registry = start_registry(supervised=True, environment=IN_MEMORY)
    client = registry.client()
    client.push("app", image("keep"), "keep")
    client.push("app", image("gone"), "gone")
    client.delete_manifest("app", image("gone").digest)

    switched(registry, read_only=True)
    with pytest.raises(Refused, match="405"):
        registry.client().push("app", image("refused"), "refused")
    pulled = registry.client().pull("app", "keep")
    done = collect(registry, "--read-only")
    switched(registry, read_only=False)
    registry.client().push("app", image("gone"), "again")
    registry.restart()

    assert not pulled.missing
    assert (done.code, done.report["restarted"]) == (0, 0)
    assert done.report["deleted"]["blobs"] > 0
    assert not registry.client().pull("app", "again").missing
