"""The arithmetic of `docs/scale.md`: from what was measured to ten million images. `readme_table.py` writes it."""

import textwrap
from typing import Any

__all__ = ["arithmetic", "measurements"]

IMAGES = 10_000_000
SHARD = 1_000
CORES = 1_000
SMALL, LARGE = 0.5, 12.0  # megapixels of a photograph
JPEG_MEGABYTES = 2.0
SECONDS_AN_HOUR = 3600
WIDTH = 135  # of a line of the page
# An example of prices, in dollars: a core for an hour, a million PUT and GET requests, a terabyte for a month.
CORE, PUT, GET, MONTH = 0.04, 5.0, 0.4, 23.0

Report = dict[str, Any]


def measurements(batch: Report, photos: Report, jpeg: Report) -> str:
    """The table of what was measured."""
    book, runs = batch["bookkeeping"], batch["throughput"]
    planning = f"{book['plan_microseconds']:.0f} µs of processor and {book['plan_memory_bytes'] / 1e3:.1f} KB of memory"
    rows = [
        (
            "a line of a manifest: path, size, digest",
            f"{book['manifest_bytes']:.0f} bytes",
            f"{book['listed']:,} lines",
        ),
        ("a line of a plan's shards", f"{book['plan_bytes']:.0f} bytes", "the same"),
        ("making a plan", f"{planning} an image", "the same"),
        ("a receipt", f"{book['receipt_bytes']:.0f} bytes an image", "the same"),
        ("`batch status`", f"{book['status_microseconds']:.1f} µs of processor an image", "the same"),
        (
            f"`batch run` with {runs['workers']} workers over one process, by the clock",
            f"{runs['ratio']:.2f}; independent processes {runs['ceiling']:.2f}",
            f"{runs['images']} images, {batch['processors']} threads of a processor, load {batch['load']:.0f}",
        ),
        (
            "the same, by the processor's time",
            f"{runs['processor_ratio']:.3f} times that of one process",
            "the same",
        ),
    ]
    for effort in (1, 5):
        compress, decompress = _seconds(photos, effort)
        rows.append(
            (
                f"photographs, compress and decompress, effort {effort}",
                f"{compress:.2f} + {decompress:.2f} s a megapixel",
                "`benchmarks/photos.py`",
            )
        )
    speed = jpeg["coders"]["densezip -e 1"]
    rows.append(
        (
            "JPEG files, compress and decompress, effort 1",
            f"{speed['compress, MB/s']:.2f} and {speed['decompress, MB/s']:.2f} MB/s",
            "`benchmarks/jpeg.py`",
        )
    )
    head = "| | figure | by |\n| :-- | --: | :-- |\n"
    return head + "\n".join(f"| {' | '.join(row)} |" for row in rows)


def arithmetic(batch: Report, photos: Report, jpeg: Report) -> str:
    """What follows from it, in sections."""
    return "\n\n".join(
        [
            _plan(batch["bookkeeping"]),
            _scheduler(photos),
            _storage(photos),
            _computation(photos, jpeg),
        ]
    )


def _row(photos: Report, name: str) -> Report:
    found: Report = next(row for row in photos["coders"] if row["name"] == name)
    return found


def _seconds(photos: Report, effort: int) -> tuple[float, float]:
    """A megapixel's."""
    row = _row(photos, f"densezip {effort}")
    return row["encode_seconds_per_megapixel"], row["decode_seconds_per_megapixel"]


def _of_png(photos: Report, effort: int) -> float:
    return float(_row(photos, f"densezip {effort}")["size_ratio"] / _row(photos, "PNG")["size_ratio"])


def _hours(seconds: float) -> float:
    """Of the processor, for all images."""
    return IMAGES * seconds / SECONDS_AN_HOUR


def _round(number: float) -> str:
    """Two digits that count; all of those before the point."""
    digits = f"{number:.2g}"
    return f"{float(digits):,.0f}" if number >= 10 else digits


def _paragraph(text: str, bullet: str = "") -> str:
    """Lines as long as those of the page."""
    words, indent = " ".join(text.split()), " " * len(bullet)
    return textwrap.fill(words, WIDTH, initial_indent=bullet, subsequent_indent=indent, break_on_hyphens=False)


def _plan(book: Report) -> str:
    shards, memory = IMAGES // SHARD, book["plan_memory_bytes"]
    bullets = [
        f"""The manifest has {IMAGES * book["manifest_bytes"] / 1e9:.1f} GB as JSON lines, and is smaller as Parquet;
        the shards of the plan have {IMAGES * book["plan_bytes"] / 1e9:.1f} GB, in {shards:,} files.""",
        f"""`batch plan` takes {IMAGES * book["plan_microseconds"] / 1e6:.0f} s of processor and
        {_round(IMAGES * memory / 1e9)} GB of memory, once, on one machine, since names are sorted and compared: two
        images that would take one name are found before the work and not after it. Ten plans of a million take
        {_round(IMAGES * memory / 1e10)} GB each.""",
        f"""Receipts come to {IMAGES * book["receipt_bytes"] / 1e9:.1f} GB, in {shards:,} files. `run` lists their
        folder, {shards // 1000} LIST requests of S3 at 1,000 names each, and reads none of them; `status` reads all,
        {IMAGES * book["status_microseconds"] / 1e6:.0f} s of processor and {shards:,} GET requests.""",
    ]
    listed = "\n".join(_paragraph(text, "- ") for text in bullets)
    return f"## The plan\n\nTen million images are {shards:,} shards of {SHARD:,}.\n\n{listed}"


def _scheduler(photos: Report) -> str:
    both = sum(_seconds(photos, 1))
    minutes = SHARD * SMALL * both / 60
    jobs = f"""{IMAGES // SHARD:,} jobs are few for any engine. What each is sent and sends back is the plan's address,
    a number, and five sums: under 1 KB. With {CORES:,} workers at effort 1 and photographs of half a megapixel, a shard
    takes {SHARD:,} × {SMALL} × {both:.2f} s = {minutes:.0f} minutes, so one job ends every
    {60 * minutes / CORES:.1f} seconds somewhere. A job that is lost, with its machine, costs at most those
    {minutes:.0f} minutes again; on machines that may be taken away at any time choose `--shard-size 100`, and have
    {IMAGES // 100:,} shards, for which LIST is still only {IMAGES // 100_000} requests."""
    slurm = """Slurm limits the length of arrays (`MaxArraySize`, 1,001 by default): `--shard I/N` with N of 1,000 lets
    each job of the array do ten shards."""
    return f"## The scheduler\n\n{_paragraph(jobs)}\n\n{_paragraph(slurm)}"


def _storage(photos: Report) -> str:
    png = _row(photos, "PNG")["bpsp"]
    megabytes = SMALL * 3 * png / 8
    inward = IMAGES * megabytes / 1e6
    rate = megabytes / (SMALL * sum(_seconds(photos, 1)))
    requests = f"""For each image there is one GET and one PUT; for each shard one GET of its list and one PUT of its
    receipt. Together {2 * (IMAGES + IMAGES // SHARD):,} requests. Files are published whole, so there is no multipart
    upload, no rename and no lock."""
    traffic = f"""The images themselves are read once and written once. With photographs of {SMALL} megapixels as PNG
    ({png:.1f} bits a sub-pixel, {megabytes:.2f} MB) that is {inward:.1f} TB in, and at
    {_row(photos, "densezip 1")["size_ratio"]:.1%} of JPEG XL's and {_of_png(photos, 1):.1%} of PNG's size
    {inward * _of_png(photos, 1):.1f} TB out. A worker at effort 1 reads {rate:.2f} MB/s: {CORES:,} of them
    {CORES * rate / 1e3:.1f} GB/s."""
    return f"## The storage\n\n{_paragraph(requests)}\n\n{_paragraph(traffic)}"


def _computation(photos: Report, jpeg: Report) -> str:
    rows = []
    for size in (SMALL, LARGE):
        name = f"photographs, {size:g} megapixels"
        rows += [(name, effort, _hours(size * sum(_seconds(photos, effort)))) for effort in (1, 5)]
    speed = jpeg["coders"]["densezip -e 1"]
    seconds = JPEG_MEGABYTES / speed["compress, MB/s"] + JPEG_MEGABYTES / speed["decompress, MB/s"]
    rows.append((f"JPEG files of {JPEG_MEGABYTES:.0f} MB", 1, _hours(seconds)))
    table = "\n".join(
        f"| {name} | {effort} | {_round(hours)} | {_round(hours / CORES / 24)} |" for name, effort, hours in rows
    )
    requests = (IMAGES + IMAGES // SHARD) / 1e6
    terabytes = IMAGES * SMALL * 3 * _row(photos, "PNG")["bpsp"] / 8 / 1e6
    saved = {effort: terabytes * (1 - _of_png(photos, effort)) for _, effort, _ in rows[:2]}
    once = {effort: CORE * hours + requests * (PUT + GET) for _, effort, hours in rows[:2]}
    monthly = {effort: MONTH * each for effort, each in saved.items()}
    costs = f"""With `p` the price of a core for an hour, `r` of a million PUT requests, `g` of a million GET requests,
    and `m` of a terabyte for a month, the small photographs at effort 5 cost {_round(rows[1][2])} p +
    {requests:.0f} r + {requests:.0f} g once, and save {saved[5]:.1f} m each month against PNG. Whether that pays is a
    division. For example, p = {CORE}, r = {PUT:.0f}, g = {GET} and m = {MONTH:.0f} dollars make it {once[5]:.0f} once
    and {monthly[5]:.0f} a month: {once[5] / monthly[5]:.1f} months; effort 1, whose files have
    {_of_png(photos, 1):.1%} of PNG's size in place of {_of_png(photos, 5):.1%}, {once[1]:.0f} once and
    {monthly[1]:.0f} a month: {once[1] / monthly[1]:.1f}."""
    head = f"| ten million | effort | processor hours | days on {CORES:,} cores |\n| :-- | --: | --: | --: |\n"
    return f"## The computation\n\n{head}{table}\n\n{_paragraph(costs)}"
