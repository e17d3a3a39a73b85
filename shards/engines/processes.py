"""The processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from ..plan import Plan
from ..work import Outcome, attempt

__all__ = ["run"]

MOST_DEATHS = 2
"""So often may a worker die over a shard, before that shard is given up for this run."""


def _quiet() -> None:
    """Leave Ctrl-C to the process that waits."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def run(plan: Plan, shards: Sequence[int], workers: int = 0) -> Iterator[Outcome]:
    """Do shards side by side, and yield their outcomes as they come.

    Args:
        plan: of which.
        shards: their numbers.
        workers: processes; 0 for all processors.
    """
    left, deaths = list(shards), Counter[int]()
    while left:
        done: set[int] = set()
        for outcome in _round(plan, left, workers or os.cpu_count() or 1):
            done.add(outcome.shard)
            yield outcome
        left = [shard for shard in left if shard not in done]
        # A worker died, killed for its memory perhaps. Those that may have been its are tried again, a few times.
        for shard in left[: workers or os.cpu_count() or 1]:
            deaths[shard] += 1
            if deaths[shard] > MOST_DEATHS:
                left.remove(shard)
                yield Outcome(shard, error="the process that did it died, again and again")


def _round(plan: Plan, shards: Sequence[int], workers: int) -> Iterator[Outcome]:
    """Outcomes until all shards are done or a worker dies."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(shards)), mp_context=context, initializer=_quiet)
    waiting: set[Future[Outcome]] = {pool.submit(attempt, plan.folder, shard) for shard in shards}
    try:
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                try:
                    outcome = future.result()
                except BrokenProcessPool:
                    return
                yield outcome
    except BaseException:
        for process in list(pool._processes.values()):
            process.kill()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
