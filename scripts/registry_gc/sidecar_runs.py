"""The collections of one sidecar: one at a time, each in a process of its own.

A collection's memory goes with its process; what it did stays in the store's state directory, where
any replica can read it.
"""

import contextlib
import json
import logging
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from registry_gc.errors import CollectorError
from registry_gc.records import new_run_id

log = logging.getLogger("registry_gc.sidecar")

_WRONG_USAGE = 2

Report = Mapping[str, Any]


@dataclass(slots=True)
class Run:
    """One collection; `exit_code` and `report` are None while it runs."""

    name: str
    dry_run: bool
    read_only: bool = False
    exit_code: int | None = None
    report: Report | None = None
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request to collect gets: an HTTP status and a mapping that becomes JSON."""

    status: int
    body: Mapping[str, object]


@dataclass(slots=True)
class Runs:
    """Starts collections and remembers the current and the last one.

    `command` is the collector without its verb; `delay` returns the seconds for which no run may
    begin yet, `elsewhere` the run of another replica that holds the store, empty for none.
    `collected` is when the last run ended that was no dry run.
    """

    command: Sequence[str]
    config: Path
    environment: Mapping[str, str]
    delay: Callable[[], float] = lambda: 0.0
    elsewhere: Callable[[], str] = lambda: ""
    current: Run | None = None
    last: Run | None = None
    collected: datetime | None = None
    _process: subprocess.Popen[str] | None = None
    _thread: threading.Thread | None = None
    _stopping: bool = False
    _held: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="registry-gc-")))

    def request(self, *, dry_run: bool, read_only: bool = False) -> Answer:
        """Begin a collection, or say why not; the same one that runs already is joined, be it in
        another replica. A `read_only` one counts on that nobody can push."""
        # Not under the lock: it asks the volume.
        elsewhere = "" if dry_run or self.current else self.elsewhere()
        with self._lock:
            if self.current is not None:
                if (self.current.dry_run, self.current.read_only) == (dry_run, read_only):
                    return Answer(200, {"run": self.current.name})
                sentence = "a run with other options goes on; ask again when it has ended"
                return Answer(409, {"run": self.current.name, "error": sentence})
            if elsewhere and read_only:
                sentence = "a run of another replica goes on; ask again when it has ended"
                return Answer(409, {"run": elsewhere, "error": sentence})
            if elsewhere:
                return Answer(200, {"run": elsewhere})
            if self._held:
                return Answer(503, {"error": "the registry is being restarted", "retryAfter": 5})
            if self._stopping:
                return Answer(503, {"error": "this sidecar is stopping", "retryAfter": 5})
            if (seconds := self.delay()) > 0:
                sentence = (
                    "a registry that was there before this pod may still serve, and answer from "
                    f"its memory: no collection for another {seconds:.0f} s"
                )
                return Answer(503, {"error": sentence, "retryAfter": max(1, round(seconds))})
            run = Run(new_run_id(), dry_run, read_only)
            # A daemon, or the interpreter waits for it at its exit, however long that takes.
            thread = threading.Thread(target=self._collect, args=(run,), name=run.name, daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                return Answer(503, {"error": f"no run can be started: {error}", "retryAfter": 15})
            self.current, self._thread = run, thread
            return Answer(202, {"run": run.name})

    def hold(self) -> str:
        """Let no run begin until `release`; return the one that goes on instead, if one does."""
        with self._lock:
            if self.current is not None:
                return self.current.name
            self._held = True
        try:
            elsewhere = self.elsewhere()
        except BaseException:
            self.release()
            raise
        if elsewhere:
            self.release()
        return elsewhere

    def release(self) -> None:
        """Let runs begin again."""
        self._held = False

    def phase(self) -> str:
        """Return the phase of the current run, `done` if none goes on."""
        current = self.current  # once, because the run may end while this is read
        if current is None:
            return "done"
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            progress = json.loads(self._progress.read_text(encoding="utf-8"))
            if progress["run"] == current.name:
                return str(progress["phase"])
        return "scan"

    def recover(self) -> bool:
        """End what a dead run left, before anything else is done; False if that failed."""
        done = subprocess.run(
            [*self.command, "recover", str(self.config)],
            env=self._child_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        said = (done.stdout + done.stderr).strip()
        log.log(logging.INFO if done.returncode == 0 else logging.ERROR, "recover: %s", said)
        return done.returncode == 0

    def stop(self, timeout: float) -> None:
        """End the current run, which puts back what it took; wait for it so many seconds."""
        with self._lock:
            self._stopping = True
            process, thread = self._process, self._thread
        if process is not None and process.poll() is None:
            log.info("told the collection to stop")
            process.send_signal(signal.SIGTERM)
        if thread is not None:
            thread.join(timeout)
            if thread.is_alive():
                # Not killed here: until the pod's end comes it goes on to put back what it took.
                log.error(
                    "the collection did not end within %.0f s; what it does not put back before "
                    "it is killed, the next start does",
                    timeout,
                )

    @property
    def _progress(self) -> Path:
        return self._folder / "progress.json"

    def _collect(self, run: Run) -> None:
        log.info("run %s begins%s", run.name, " (dry run)" if run.dry_run else "")
        try:
            code, report = self._run_child(run)
        except Exception as error:
            # Whatever it is: a run that never ends would be the last one of this sidecar.
            log.exception("run %s cannot be followed", run.name)
            code, report = 5, {"run": run.name, "outcome": "failed", "error": str(error)}
        # The report before the code that says that it is there: others read both.
        run.report, run.ended, run.exit_code = report, datetime.now(UTC), code
        log.info("run %s ended with exit code %s", run.name, run.exit_code)
        with self._lock:
            if not run.dry_run:
                self.collected = run.ended
            self.last, self.current, self._process = run, None, None

    def _run_child(self, run: Run) -> tuple[int, Report]:
        verb = "plan" if run.dry_run else "collect"
        process = subprocess.Popen(
            [*self.command, verb, str(self.config), "--output", "json"],
            env=self._child_environment(run.name, read_only=run.read_only),
            stdout=subprocess.PIPE,
            text=True,
        )
        self._process = process
        if self._stopping:
            process.send_signal(signal.SIGTERM)  # asked to stop while this one was being started
        said, _ = process.communicate()
        report = _parsed(said)
        if report is not None and process.returncode >= 0:
            return process.returncode, report
        if process.returncode == _WRONG_USAGE:
            # Click's own: it read no store, and its sentence is in the log.
            error = _sentence(
                "nothing was collected: the collector does not understand its options",
                "one of the garbageCollect values has no meaning for it",
                "see `kubectl logs -c gc`, which names it",
            )
            return _WRONG_USAGE, {"run": run.name, "outcome": "refused", "error": error}
        log.error("run %s died with %s: undoing what it did", run.name, process.returncode)
        undone = self.recover()
        error = _sentence(
            f"the collection died ({_ending(process.returncode)}); what it took "
            + ("was put back" if undone else "lies in the store and could not be put back yet"),
            "the pod's log says more; a memory limit that is too small looks like this",
            "see `kubectl logs -c gc`; if it was killed, raise garbageCollect.sidecar.resources",
        )
        return 5, {"run": run.name, "outcome": "failed", "error": error}

    def _child_environment(self, run: str = "", *, read_only: bool = False) -> dict[str, str]:
        restart = self.environment.get("GC_RESTART") or "auto"
        return {
            **self.environment,
            # In a pod the kubelet starts the registry again, which is all that auto asks.
            "GC_RESTART": "always" if restart == "auto" else restart,
            "GC_PROGRESS_FILE": str(self._progress),
            "GC_RUN_ID": run,
            **({"GC_READ_ONLY": "true"} if read_only else {}),
        }


def own_command() -> list[str]:
    """Return how this very collector is called."""
    return [sys.executable, "-m", "registry_gc"]


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit {code}"


def _sentence(what: str, why: str, next_step: str) -> str:
    return str(CollectorError(what, why=why, next_step=next_step))


def _parsed(said: str) -> Report | None:
    try:
        report = json.loads(said)
    except ValueError:
        return None
    return report if isinstance(report, dict) else None
