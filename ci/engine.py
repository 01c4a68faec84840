"""The container engine: the one that runs, or one that we start and that `down` ends again."""

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from shell import CACHE, StepError, alone, run, say, succeeds
from versions import HOST_PACKAGES

_FOLDER = CACHE / "engine"
_STARTED = _FOLDER / "started.json"
_CAP_SYS_RESOURCE = 24
_WRAPPER = Path(__file__).with_name("runc-without-sys-resource")
_WRAPPER_COPY = _FOLDER / _WRAPPER.name


@dataclass(frozen=True)
class Process:
    """A process that is never mistaken for another with its number; `ticks` is its start."""

    pid: int
    ticks: int

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """Return the process with a number, None if there is none."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return cls(pid, int(fields[19]))  # field 22 of proc(5)

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


def stop() -> bool:
    """End the engine if we started it, and undo what it did to the host; say whether we did."""
    if (process := _ours()) is None:
        return False
    if others := run("docker", "ps", "--quiet").split():
        say(f"the engine goes on: {len(others)} containers that are not ours run in it")
        return False
    say(f"ending the engine that was started here (process {process.pid})")
    os.kill(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + 60
    while process.is_alive:
        if time.monotonic() > deadline:
            raise StepError(f"the engine, process {process.pid}, did not end within 60 s")
        time.sleep(0.2)
    _STARTED.unlink()
    succeeds("ip", "link", "delete", "docker0")
    run("iptables-restore", input=(_FOLDER / "iptables-before").read_bytes())
    return True


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
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise StepError(
            "no Docker engine answers: install Docker 20.10 or newer and start it (on Debian, as "
            "root, this is done for you)"
        )
    say(f"installing with apt-get: {' '.join(HOST_PACKAGES)}")
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "update", "-q", env=environment)
    run(
        "apt-get", "install", "-y", "-q", "--no-install-recommends", *HOST_PACKAGES, env=environment
    )


def _start() -> None:
    _FOLDER.mkdir(parents=True, exist_ok=True)
    (_FOLDER / "iptables-before").write_text(run("iptables-save"))
    log = _FOLDER / "dockerd.log"
    command = ["dockerd", "--data-root", str(_FOLDER / "data")]
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
    process = Process.of(started.pid)
    deadline = time.monotonic() + 60
    while not answers():
        if started.poll() is not None or time.monotonic() > deadline or process is None:
            raise StepError(f"the Docker engine did not start; the end of {log} says why")
        time.sleep(0.3)
    _STARTED.write_text(json.dumps(asdict(process)) if process else "")


def _has_sys_resource() -> bool:
    status = Path("/proc/self/status").read_text()
    bounding = next(line.split()[1] for line in status.splitlines() if line.startswith("CapBnd"))
    return bool(int(bounding, 16) >> _CAP_SYS_RESOURCE & 1)
