"""Runs steps that need each other, two at a time, and says how long each took."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from shell import StepError, say


@dataclass(frozen=True)
class Step:
    """One step; it is skipped when `is_done` says so, and starts when all it `needs` have ended."""

    name: str
    do: Callable[[], object]
    needs: tuple[str, ...] = ()
    is_done: Callable[[], bool] = lambda: False


def run_steps(steps: Sequence[Step], *, workers: int = 2) -> dict[str, float]:
    """Run every step; return seconds for each that had something to do.

    The first failure stops what has not begun. Raises StepError.
    """
    waiting = {step.name: step for step in steps}
    unknown = {need for step in steps for need in step.needs} - waiting.keys()
    if unknown:
        raise ValueError(f"steps need unknown steps: {sorted(unknown)}")
    ended: set[str] = set()
    seconds: dict[str, float] = {}
    running: dict[Future[float | None], Step] = {}
    with ThreadPoolExecutor(workers) as pool:
        while waiting or running:
            ready = [step for step in waiting.values() if ended.issuperset(step.needs)]
            for step in ready[: workers - len(running)]:
                del waiting[step.name]
                running[pool.submit(_timed, step)] = step
            if not running:
                raise ValueError(f"steps need each other in a circle: {sorted(waiting)}")
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                step = running.pop(future)
                try:
                    took = future.result()
                except StepError as error:
                    waiting.clear()
                    raise StepError(f"{step.name} failed: {error}") from error
                if took is not None:
                    seconds[step.name] = took
                ended.add(step.name)
    return seconds


def _timed(step: Step) -> float | None:
    if step.is_done():
        return None
    say(f"  {step.name} ...")
    began = time.monotonic()
    step.do()
    took = time.monotonic() - began
    say(f"  {step.name}: {took:.0f} s")
    return took


def table(seconds: dict[str, float]) -> str:
    """Return where the time went, the longest first; steps side by side count each."""
    if not seconds:
        return ""
    rows = sorted(seconds.items(), key=lambda item: -item[1])
    return "\n".join(["where the time went:", *(f"{took:6.0f} s  {name}" for name, took in rows)])
