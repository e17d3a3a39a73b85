"""What is done of a plan, and whether it is still there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from .. import DensezipError, InputError, verify
from .plan import Plan
from .storage import Folder
from .work import Failure, Published, outcome_of, read_receipt

__all__ = ["Status", "failures", "missing_shards", "shards_of", "status", "verify_shard"]


@dataclass(frozen=True)
class Status:
    """Sums over the receipts of a plan."""

    images: int
    shards: int
    shards_done: int
    published: int
    failures: int
    source_size: int
    size: int


def shards_of(plan: Plan, part: tuple[int, int] = (0, 1)) -> range:
    """The shards of one of several parts: every N-th from the I-th on."""
    return range(part[0], plan.shards, part[1])


def missing_shards(plan: Plan, part: tuple[int, int] = (0, 1), *, retry_failed: bool = False) -> list[int]:
    """The shards without a receipt.

    Args:
        plan: of which.
        part: (I, N): every N-th shard from the I-th on.
        retry_failed: and those whose receipt names a failure.
    """
    done = {name for name, _ in Folder(f"{plan.folder}/receipts").files()}
    missing = [shard for shard in shards_of(plan, part) if f"{shard:05d}.json" not in done]
    if retry_failed:
        gone = set(missing)
        for shard in shards_of(plan, part):
            receipt = None if shard in gone else read_receipt(plan, shard)
            if receipt is not None and receipt.failures:
                missing.append(shard)
    return sorted(missing)


def status(plan: Plan) -> Status:
    """What the receipts say. Reads all of them: about 300 bytes an image."""
    done = published = failed = source_size = size = 0
    for shard in range(plan.shards):
        receipt = read_receipt(plan, shard)
        if receipt is not None:
            outcome = outcome_of(receipt)
            done += 1
            published += outcome.published
            failed += outcome.failures
            source_size += outcome.source_size
            size += outcome.size
    return Status(plan.images, plan.shards, done, published, failed, source_size, size)


def failures(plan: Plan) -> Iterator[Failure]:
    """Every failure that a receipt names."""
    for shard in range(plan.shards):
        receipt = read_receipt(plan, shard)
        if receipt is not None:
            yield from receipt.failures


def verify_shard(plan: Plan, shard: int, *, decode: bool = False) -> list[tuple[str, str]]:
    """The files of a shard that are not what its receipt says, as (name, what is wrong).

    Args:
        plan: of which.
        shard: its number; one without a receipt is wrong as a whole.
        decode: decode every file as well, and check its pixels.
    """
    receipt = read_receipt(plan, shard)
    if receipt is None:
        return [(f"shard {shard}", "not done")]
    target = Folder(plan.target)
    found = ((entry.target, _wrong(target, entry, decode)) for entry in receipt.published)
    return [(name, reason) for name, reason in found if reason]


def _wrong(target: Folder, entry: Published, decode: bool) -> str:
    try:
        content = target.read(entry.target)
    except InputError as error:
        return str(error)
    if len(content) != entry.size or hashlib.sha256(content).hexdigest() != entry.digest:
        return f"{len(content)} bytes where other {entry.size} were published"
    if decode:
        try:
            verify(content, threads=1)
        except DensezipError as error:
            return str(error)
    return ""
