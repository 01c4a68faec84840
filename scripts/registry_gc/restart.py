"""The registry's process: which it is, and how it is told to start again.

It is found by what it does, not by its name: its arguments say `serve` and this configuration.
Where something starts it again (the kubelet, in a pod), SIGTERM is a restart in place.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from registry_gc.errors import RegistryDownError
from registry_gc.registry_config import RegistryConfig, load

_PAUSE = 0.2  # seconds between two looks


@dataclass(frozen=True, slots=True)
class RegistryProcess:
    """One registry process; `started` is seconds since the epoch, `identity` is never reused."""

    pid: int
    identity: str
    started: float
    environment: Mapping[str, str]


def find_registries(config_path: Path) -> list[RegistryProcess]:
    """Return the processes that serve this configuration, as far as we may look at them."""
    found = []
    for process in psutil.process_iter():
        try:
            arguments = process.cmdline()
            if arguments[1:2] != ["serve"]:
                continue
            environment = process.environ()
            named = _configuration(arguments, environment)
            if named and _is_same(process, named, config_path):
                found.append(
                    RegistryProcess(
                        process.pid, _identity(process), process.create_time(), environment
                    )
                )
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        except psutil.AccessDenied:
            continue  # another user's: a container that shares nothing with the registry's
    return found


def find_registry(config_path: Path) -> RegistryProcess | None:
    """Return the process that serves this configuration, the oldest if there are several."""
    return min(find_registries(config_path), key=lambda each: each.started, default=None)


def configuration_in_use(config_path: Path, ours: Mapping[str, str]) -> RegistryConfig:
    """Return the configuration that the registry runs with: its variables are its process's.

    Where none runs, `ours` are taken for its. Raises ConfigurationError.
    """
    registry = find_registry(config_path)
    return load(config_path, registry.environment if registry else ours)


def is_alive(registry: RegistryProcess) -> bool:
    """Say whether this very process still runs, and not another with its number."""
    try:
        process = psutil.Process(registry.pid)
        return process.status() != psutil.STATUS_ZOMBIE and _identity(process) == registry.identity
    except psutil.NoSuchProcess:
        return False


def _configuration(arguments: list[str], environment: Mapping[str, str]) -> Path | None:
    """Return the configuration that a registry was started with (v3.1.1, registry/root.go)."""
    named = arguments[2] if len(arguments) > 2 else environment.get("REGISTRY_CONFIGURATION_PATH")
    return Path(named) if named else None


def _is_same(process: psutil.Process, named: Path, config_path: Path) -> bool:
    """Say whether a process means our file, be it by another name: a registry that is not found
    is taken for one that remembers nothing.
    """
    if named == config_path:
        return True
    try:
        return (Path(process.cwd()) / named).resolve() == config_path.resolve()
    except (psutil.AccessDenied, OSError):
        return False


def _identity(process: psutil.Process) -> str:
    """Return what tells a process from every other before and after it: boot id, pid, start."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
    except (FileNotFoundError, ProcessLookupError):  # it ended between two looks
        raise psutil.NoSuchProcess(process.pid) from None
    start_ticks = fields.split()[19]  # field 22 of proc(5), the third being the first after `)`
    return f"{boot}/{process.pid}/{start_ticks}"


def restart(
    registry: RegistryProcess,
    config: RegistryConfig,
    config_path: Path,
    *,
    meanwhile: Callable[[float], None],
    timeout: float = 180.0,
) -> RegistryProcess:
    """End one registry process and return the one that came after it, once that answers.

    `meanwhile` is called with the seconds to wait between two looks, and may raise to give up.
    `timeout` counts from the end of the old process; the drain is waited for besides.
    Raises RegistryDownError.
    """
    from registry_gc.registry_http import answers  # here: a plan needs no HTTP, and starts at once

    others = set()
    if is_alive(registry):
        others = {each.identity for each in find_registries(config_path)} - {registry.identity}
    # Otherwise it ended by itself, and what runs now may be what came after it.
    end(registry)
    deadline = time.monotonic() + config.drain_timeout + 60
    while is_alive(registry):
        if time.monotonic() > deadline:
            raise _down(
                f"process {registry.pid} did not end within {config.drain_timeout + 60:g} s"
            )
        meanwhile(_PAUSE)
    deadline = time.monotonic() + timeout
    while True:
        for found in find_registries(config_path):
            is_new = found.identity not in others and found.identity != registry.identity
            if is_new and answers(config) and is_alive(found):
                return found
        if time.monotonic() > deadline:
            raise _down(f"no new process answered at {config.address} within {timeout:g} s")
        meanwhile(_PAUSE)


def fault_of_certificate(config: RegistryConfig) -> str:
    """Return why a registry would not start again with the certificate that is there by now.

    Empty if it would, as far as can be seen: a file that is not mounted here says nothing.
    """
    if not config.certificate:
        return ""
    import ssl  # here: a plan needs none

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # The registry knows no password; without one here a terminal would be asked.
        context.load_cert_chain(config.certificate, config.key or None, password=lambda: "")
    except ssl.SSLError as error:
        return f"{config.certificate} and {config.key} do not fit: {error.reason or error}"
    except (OSError, ValueError):
        return ""
    return ""


def end(registry: RegistryProcess) -> None:
    """Tell a registry to end; one that has ended is fine. Raises RegistryDownError."""
    try:
        process = psutil.Process(registry.pid)
        if _identity(process) == registry.identity:
            process.terminate()
    except psutil.NoSuchProcess:
        pass  # it ended by itself; what comes after it has a clean memory
    except psutil.AccessDenied as error:
        raise _down(f"process {registry.pid} may not be ended by this user") from error


def _down(why: str) -> RegistryDownError:
    return RegistryDownError(
        "the registry did not come back after its restart; everything was put back",
        why=why,
        next_step="look at the registry's own log, then collect again",
    )
