"""What hands the shards of a plan to workers: each module has `run(plan, shards, workers)`, an iterator of outcomes.

`processes` is this machine; `ray_data` and `dask_client` are clusters, or local ones of those engines.
"""
