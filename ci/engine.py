"""The container engine: the one that runs, or one that we start and that `down` ends again."""

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import host
from shell import CACHE, StepError, alone, run, say, succeeds
from versions import HOST_PACKAGES

_FOLDER = CACHE / "engine"
_STARTED = _FOLDER / "started.json"
_DATA = _FOLDER / "data"
_NETWORK_BEFORE = _FOLDER / "network-before.json"
_CAP_SYS_RESOURCE = 24
HELPER = "docker-registry-chart.helper"  # label of containers that serve one step of ours
_WRAPPER = Path(__file__).with_name("runc-without-sys-resource")
_WRAPPER_COPY = _FOLDER / _WRAPPER.name


@dataclass(frozen=True)
class Process:
    """A process that is never mistaken for another with its number; `ticks` is its start."""

    pid: int
    ticks: int

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """Return the process with a number, None if there is none or it has ended."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        # Fields 3 and 22 of proc(5). A zombie has ended; who started it has not asked yet.
        return None if fields[0] == "Z" else cls(pid, int(fields[19]))

    @property
    def is_alive(self) -> bool:
        """Say whether this very process still runs."""
        return Process.of(self.pid) == self


def answers() -> bool:
    """Say whether an engine answers."""
    return shutil.which("docker") is not None and succeeds("docker", "version", timeout=20)


def ensure() -> None:
    """Have an engine that answers: find it, or install and start one. Raises StepError."""
    if answers():
        return
    with alone("engine"):
        if answers():
            return
        _install()
        _start()


def is_ours() -> bool:
    """Say whether an engine that we started runs."""
    return _ours() is not None


def ended_by_itself() -> bool:
    """Say whether an engine that we started, and that `stop` did not end, is gone."""
    return _STARTED.exists() and _ours() is None


def stop() -> bool:
    """End the engine if we started it, and undo what it did to the host; say whether we did."""
    if (process := _ours()) is None:
        return False
    # A step that was killed leaves its container, and nobody else knows of it.
    if helpers := run("docker", "ps", "--all", "--quiet", "--filter", f"label={HELPER}").split():
        run("docker", "rm", "--force", *helpers)
    if others := run("docker", "ps", "--quiet").split():
        say(f"the engine goes on: {len(others)} containers that are not ours run in it")
        return False
    say(f"ending the engine that was started here (process {process.pid})")
    _end(process)
    while succeeds("umount", _DATA):
        pass  # each that was killed leaves this folder mounted on itself
    host.undo_network(_NETWORK_BEFORE)
    _NETWORK_BEFORE.unlink(missing_ok=True)
    _STARTED.unlink()
    return True


def _end(process: Process) -> None:
    os.kill(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + 60
    while process.is_alive:
        if time.monotonic() > deadline:
            raise StepError(f"the engine, process {process.pid}, did not end within 60 s")
        time.sleep(0.2)


def build_environment() -> dict[str, str]:
    """Return what `docker build` needs in its environment: Debian's engine has no BuildKit."""
    return {"DOCKER_BUILDKIT": "0"} if _ours() else {}


def _ours() -> Process | None:
    try:
        process = Process(**json.loads(_STARTED.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return process if process.is_alive else None


def _install() -> None:
    if shutil.which("dockerd"):
        host.need("iptables")
        host.need("ip", "iproute2")
        return
    say("no Docker engine answers (20.10 or newer would do)")
    host.install(*HOST_PACKAGES)


def _start() -> None:
    _FOLDER.mkdir(parents=True, exist_ok=True)
    # After an engine that was killed the network is not as it was before: keep the older note.
    if not (_STARTED.exists() and _NETWORK_BEFORE.exists()):
        host.note_network(_NETWORK_BEFORE)
    log = _FOLDER / "dockerd.log"
    command = ["dockerd", "--data-root", str(_DATA)]
    if not _has_sys_resource():
        say("this host lacks CAP_SYS_RESOURCE: containers are started without it")
        command += ["--add-runtime", f"nocap={_WRAPPER_COPY}", "--default-runtime", "nocap"]
        # Of its own, so that the engine outlives the checkout that started it.
        shutil.copy(_WRAPPER, _WRAPPER_COPY)
    say(f"starting a Docker engine; its log is {log}")
    with log.open("ab") as file:
        started = subprocess.Popen(
            command, stdout=file, stderr=file, stdin=subprocess.DEVNULL, start_new_session=True
        )
    if process := Process.of(started.pid):
        # At once, so that an interruption leaves no engine that is nobody's.
        _STARTED.write_text(json.dumps(asdict(process)))
    deadline = time.monotonic() + 60
    while not answers():
        if started.poll() is not None or time.monotonic() > deadline:
            started.terminate()
            raise StepError(f"the Docker engine did not start; the end of {log} says why")
        time.sleep(0.3)


def _has_sys_resource() -> bool:
    status = Path("/proc/self/status").read_text()
    bounding = next(line.split()[1] for line in status.splitlines() if line.startswith("CapBnd"))
    return bool(int(bounding, 16) >> _CAP_SYS_RESOURCE & 1)
