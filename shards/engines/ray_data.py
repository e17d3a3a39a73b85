"""Ray: shards as the rows of a dataset, mapped by the workers of a cluster."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from ... import InputError, UsageError
from ..plan import Plan
from ..work import Outcome, attempt

__all__ = ["run"]


def run(plan: Plan, shards: Sequence[int], workers: int = 0, address: str | None = None) -> Iterator[Outcome]:
    """Do shards on a Ray cluster, and yield their outcomes as they come.

    Args:
        plan: of which; its folders must be seen by all workers under the same URL.
        shards: their numbers.
        workers: processors of a cluster that is started here; 0 for all. One that runs already decides itself.
        address: of a running cluster; None for the one that the environment names, or else one of this machine.

    Raises:
        UsageError: Ray is not there.
        InputError: there is no cluster at that address, or none can be started.
    """
    try:
        import ray
        import ray.data
    except ImportError:
        raise UsageError("the engine ray: pip install 'densezip[ray]'") from None
    folder = plan.folder

    def job(batch: dict[str, Any]) -> dict[str, Any]:
        outcomes = [asdict(attempt(folder, int(shard))) for shard in batch["shard"]]
        return {name: [outcome[name] for outcome in outcomes] for name in outcomes[0]}

    started = not ray.is_initialized()
    if started:
        local: dict[str, Any] = {} if address else {"num_cpus": workers or None, "include_dashboard": False}
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING, **local)
        except Exception as error:  # Ray raises what it likes, Exception itself among it
            where = f"at {address}" if address else "on this machine"
            raise InputError(f"no Ray cluster {where}: {error}") from error
    # Progress is said by who calls.
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        rows = ray.data.from_items([{"shard": shard} for shard in shards], override_num_blocks=len(shards))
        for row in rows.map_batches(job, batch_size=1).iter_rows():
            yield Outcome(**row)
    finally:
        if started:
            ray.shutdown()
