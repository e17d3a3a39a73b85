"""The job of one shard, and the receipt that it leaves."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from .. import ChecksumError, DensezipError, FormatError, InputError, LimitError, compress, verify
from .plan import Item, Plan, open_plan
from .storage import Folder, read_file

__all__ = ["Failure", "Outcome", "Published", "Receipt", "attempt", "outcome_of", "read_receipt", "run_shard"]


@dataclass(frozen=True)
class Published:
    """An image that is kept.

    Attributes:
        source: its path or URL.
        target: the name of its `.dz` file.
        source_size: bytes.
        source_digest: SHA-256 in hexadecimal digits.
        size: bytes of the `.dz` file.
        digest: SHA-256 of the `.dz` file.
    """

    source: str
    target: str
    source_size: int
    source_digest: str
    size: int
    digest: str


@dataclass(frozen=True)
class Failure:
    """An image that could not be read.

    Attributes:
        source: its path or URL.
        error: the class of the error.
        reason: what it said.
    """

    source: str
    error: str
    reason: str


@dataclass(frozen=True)
class Receipt:
    """What became of a shard."""

    shard: int
    published: list[Published] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def to_json(self) -> bytes:
        """The content of its file: the same for the same images."""
        return (json.dumps(asdict(self), indent=1) + "\n").encode()


def receipt_name(shard: int) -> str:
    """The file of a shard's receipt in the plan's folder."""
    return f"receipts/{shard:05d}.json"


def read_receipt(plan: Plan, shard: int) -> Receipt | None:
    """The receipt of a shard, or None if it is not done.

    Raises:
        FormatError: it is damaged.
    """
    where = Folder(plan.folder)
    if where.size(receipt_name(shard)) is None:
        return None
    try:
        content: dict[str, Any] = json.loads(where.read(receipt_name(shard)))
        return Receipt(
            content["shard"],
            [Published(**entry) for entry in content["published"]],
            [Failure(**entry) for entry in content["failures"]],
        )
    except (ValueError, TypeError, KeyError) as error:
        again = "remove it, and the shard is done again"
        raise FormatError(f"{receipt_name(shard)} is damaged: {error}; {again}") from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _pack(item: Item, plan: Plan, threads: int) -> tuple[bytes, bytes]:
    """The source and its `.dz` file, from which the source came back.

    Raises:
        InputError: it cannot be read.
        FormatError: it is not what the plan says, or does not come back.
        LimitError: more than the plan's `max_pixels` pixels.
    """
    source = read_file(item.source)
    if item.size not in (None, len(source)) or item.digest not in (None, _digest(source)):
        raise ChecksumError(f"{len(source)} bytes with SHA-256 {_digest(source)}: not the file that the manifest names")
    packed = compress(source, effort=plan.effort, strip=plan.strip, threads=threads, max_pixels=plan.max_pixels)
    verify(packed, original=source, pixels_only=bool(plan.strip), threads=threads, max_pixels=plan.max_pixels)
    return source, packed


@dataclass(frozen=True)
class Outcome:
    """How the attempt at a shard ended, small enough to be sent home from a cluster.

    Attributes:
        shard: its number.
        published: images that are kept.
        failures: images that are not.
        source_size: bytes of the images that are kept.
        size: bytes of their `.dz` files.
        error: why there is no receipt; empty if there is one.
    """

    shard: int
    published: int = 0
    failures: int = 0
    source_size: int = 0
    size: int = 0
    error: str = ""


def attempt(folder: str, shard: int) -> Outcome:
    """`run_shard` for engines: an error becomes an outcome, so that the other shards go on."""
    try:
        receipt = run_shard(folder, shard)
    except DensezipError as error:
        return Outcome(shard, error=f"{type(error).__name__}: {error}")
    return outcome_of(receipt)


def outcome_of(receipt: Receipt) -> Outcome:
    """The sums of a receipt."""
    return Outcome(
        receipt.shard,
        len(receipt.published),
        len(receipt.failures),
        sum(entry.source_size for entry in receipt.published),
        sum(entry.size for entry in receipt.published),
    )


def run_shard(folder: str, shard: int, threads: int = 1) -> Receipt:
    """Do a shard of the plan in `folder`, again if need be: compress, decode and compare, publish, and leave a receipt.

    What is wrong with an image is a failure in the receipt. What is wrong with the machine, such as a full disk, ends
    the shard without a receipt, and it is done again by the next run.

    Raises:
        OutputError: a file could not be published.
        FormatError: the plan is damaged.
    """
    plan = open_plan(folder)
    target, receipt = Folder(plan.target), Receipt(shard)
    for item in plan.items(shard):
        try:
            source, packed = _pack(item, plan, threads)
        except (InputError, FormatError, LimitError) as error:
            receipt.failures.append(Failure(item.source, type(error).__name__, str(error)))
            continue
        target.publish(item.target, packed)
        receipt.published.append(
            Published(item.source, item.target, len(source), _digest(source), len(packed), _digest(packed))
        )
    Folder(plan.folder).publish(receipt_name(shard), receipt.to_json())
    return receipt
