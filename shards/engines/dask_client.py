"""Dask: a task for each shard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ... import InputError, UsageError
from ..plan import Plan
from ..work import Outcome, attempt

__all__ = ["run"]

RETRIES = 2
"""So often is a shard done again whose worker died."""


def run(plan: Plan, shards: Sequence[int], workers: int = 0, address: str | None = None) -> Iterator[Outcome]:
    """Do shards on a Dask cluster, and yield their outcomes as they come.

    Args:
        plan: of which; its folders must be seen by all workers under the same URL.
        shards: their numbers.
        workers: processes of a cluster that is started here; 0 for one for each processor.
        address: of a running scheduler; None for a cluster on this machine.

    Raises:
        UsageError: Dask is not there.
        InputError: there is no scheduler at that address, or no cluster can be started.
    """
    try:
        from distributed import Client, LocalCluster, as_completed
    except ImportError:
        raise UsageError("the engine dask: pip install 'densezip[dask]'") from None
    cluster = None
    try:
        try:
            if not address:
                cluster = LocalCluster(n_workers=workers or None, threads_per_worker=1, dashboard_address=None)
            connected = Client(address or cluster)
        except (OSError, RuntimeError, ValueError) as error:
            where = f"at {address}" if address else "on this machine"
            raise InputError(f"no Dask cluster {where}: {error}") from error
        with connected as client:
            # Not pure: the same shard may be asked for again after its receipt was removed.
            tasks = client.map(attempt, [plan.folder] * len(shards), list(shards), pure=False, retries=RETRIES)
            shard_of = {task.key: shard for task, shard in zip(tasks, shards, strict=True)}
            for task in as_completed(tasks):
                failure = task.exception()
                yield task.result() if failure is None else Outcome(shard_of[task.key], error=str(failure))
    finally:
        if cluster is not None:
            cluster.close()
