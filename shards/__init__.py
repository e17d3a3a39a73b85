"""Many images, on one machine or on many: a plan, shards of it, and a receipt for each shard that is done.

A **plan** lists every image once, in a fixed order, cut into shards. The job of a **shard** is pure: read, compress,
decode and compare, publish each file under the name that the plan gives it, and at the very end leave one **receipt**
with sizes, digests and failures. Doing a shard twice, or in two places at once, leaves the same files. So resuming is
"the plan minus the receipts", and no engine has to promise that anything runs exactly once.

Begin with `plan.py`, then `work.py`. `storage.py` speaks to file systems through fsspec; `engines` hands shards to
processes, Ray or Dask; `progress.py` reads what the receipts say. Needs `pip install 'densezip[batch]'`.
"""
