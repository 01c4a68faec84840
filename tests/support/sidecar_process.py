"""A real sidecar on a free loopback port, over a collector that does what a test tells it."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import urllib3

from support.checkout import SCRIPTS, clean_environment
from support.waiting import until

TOKEN = "the-token-of-this-test"

# Runs the sidecar with another command for its children than `python -m registry_gc`.
_LAUNCHER = """
import dataclasses, os, sys
from pathlib import Path
from registry_gc.sidecar import SidecarSettings, serve
settings = SidecarSettings.from_environment(os.environ, Path(sys.argv[1]))
sys.exit(serve(dataclasses.replace(settings, command=(sys.executable, sys.argv[2]))))
"""

# Acts as `collect|plan|recover CONFIG --output json`. It obeys the files in its folder: `hold` is
# waited for to go, `deaf` has it wait also after SIGTERM, `ending` says how a collection ends.
_COLLECTOR = """
import json, os, signal, sys, time
from pathlib import Path
folder = Path(os.environ["FAKE_FOLDER"])
verb = sys.argv[1]
run = os.environ["GC_RUN_ID"]
call = {"verb": verb, "arguments": sys.argv[2:], "pid": os.getpid(), "run": run,
        "restart": os.environ["GC_RESTART"], "readOnly": os.environ.get("GC_READ_ONLY", "")}
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append("SIGTERM"))
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps(call) + "\\n")
if verb == "recover":
    sys.exit(int((folder / "recovering").read_text()) if (folder / "recovering").exists() else 0)
progress = Path(os.environ["GC_PROGRESS_FILE"])
progress.write_text(json.dumps({"run": run, "phase": "settle", "since": "now"}))
while (folder / "hold").exists() and (not told or (folder / "deaf").exists()):
    time.sleep(0.01)
if told:
    (folder / "told").write_text(told[0])
    print(json.dumps({"run": run, "outcome": "failed", "error": "stopped"}))
    sys.exit(1)
ending = (folder / "ending").read_text() if (folder / "ending").exists() else "0"
if ending == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if ending == "usage":
    sys.exit(2)
print(json.dumps({"run": run, "outcome": "done", "problems": [], "error": None}))
sys.exit(int(ending))
"""


@dataclass
class SidecarProcess:
    """One sidecar; `folder` holds the files that its collector obeys, and its log."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path

    def ask(
        self, method: str, path: str, body: bytes | None = None, token: str = TOKEN
    ) -> tuple[int, Any]:
        answer = urllib3.request(
            method,
            f"http://127.0.0.1:{self.port}{path}",
            body=body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=20,
            retries=False,
        )
        return answer.status, json.loads(answer.data)

    def collect(self, body: bytes | None = None) -> tuple[int, Any]:
        return self.ask("POST", "/collect", body)

    def status(self, run: str = "") -> tuple[int, Any]:
        return self.ask("GET", f"/status?run={run}" if run else "/status")

    def ended(self, run: str, timeout: float = 30) -> Any:
        """Return the status of a run once it has ended."""

        def done() -> Any:
            code, status = self.status(run)
            assert code == 200, status
            return status if status["state"] == "done" else None

        return until(done, what=f"run {run} has ended", timeout=timeout)

    def calls(self, verb: str = "") -> list[dict[str, Any]]:
        """Return the collector's calls so far."""
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [call for call in map(json.loads, lines) if verb in ("", call["verb"])]

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def tell(self, name: str, content: str = "") -> None:
        (self.folder / name).write_text(content)

    def terminate(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def rss(self) -> float:
        """Return the resident memory of the sidecar alone, in MiB."""
        return float(psutil.Process(self.process.pid).memory_info().rss) / 1024**2


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def sidecar_process(
    config: Path,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    *,
    fake: bool = True,
) -> Iterator[SidecarProcess]:
    """Run a sidecar that answers; it and its child are gone afterwards."""
    folder.mkdir(exist_ok=True)
    (folder / "collector.py").write_text(_COLLECTOR)
    (folder / "token").write_text(f"{TOKEN}\n")
    port = free_port()
    role = (
        ["-c", _LAUNCHER, str(config), str(folder / "collector.py")]
        if fake
        else ["-m", "registry_gc", "sidecar", str(config)]
    )
    variables = {
        **clean_environment(),
        "PYTHONPATH": str(SCRIPTS),
        "GC_MEMORY_START_DELAY": "0",
        "GC_PORT": str(port),
        "GC_TOKEN_FILE": str(folder / "token"),
        "FAKE_FOLDER": str(folder),
        **(environment or {}),
    }
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([sys.executable, *role], env=variables, stdout=log, stderr=log)
    sidecar = SidecarProcess(process, port, folder)
    try:
        until(lambda: _answers(sidecar), what="the sidecar answers")
        yield sidecar
    finally:
        (folder / "hold").unlink(missing_ok=True)
        if process.poll() is None:
            children = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            process.wait()
            for child in children:
                child.kill()


def _answers(sidecar: SidecarProcess) -> bool:
    assert sidecar.process.poll() is None, sidecar.log()
    try:
        return sidecar.ask("GET", "/healthz", token="")[0] == 200
    except urllib3.exceptions.HTTPError:
        return False
