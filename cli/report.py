"""What is said of a .dz file, in words and in JSON."""

from __future__ import annotations

from collections.abc import Iterable

from .. import Info

__all__ = ["as_json", "describe", "result_as_json", "sizes_text", "summary", "table"]

# What comes back.
EXACT = {
    "file": "file exact: the source comes back byte for byte",
    "picture": "picture exact: the pixels and everything beside them come back, coded anew",
    "stored": "file exact: its bytes come back, those of the source or what --strip left of them",
    None: "the pixels come back: of an array, an image in memory, or a file without its metadata",
}


def sizes_text(before: int, after: int) -> str:
    """`12,345 -> 6,789 bytes (55.0 %)`: exact, since sizes are what this program is about."""
    return f"{before:,} -> {after:,} bytes" + (f" ({after / before:.1%})" if before else "")


def as_json(name: str, info: Info) -> str:
    """One line of JSON: the name of the file and every field of `info`."""
    import dataclasses
    import json

    fields = {**dataclasses.asdict(info), "metadata": dict(info.metadata)}
    return json.dumps({"file": name, **fields})


def result_as_json(fields: dict[str, object], error: str | None, code: int) -> str:
    """One line of JSON: what was done to a file, or why not."""
    import json

    return json.dumps({**fields, "error": error, "exit_code": code})


def summary(info: Info) -> str:
    """The coding in a few words: `photo-5 (1a2b3c4d), 4 tiles of 512x512, 3.021 bpsp, picture exact`."""
    facts = [_payload(info)]
    if _has_size(info):
        facts += [_tiles(info), f"{info.bpsp:.3f} bpsp"]
    return ", ".join([*facts, f"{info.exact} exact"] if info.exact else facts)


def describe(name: str, info: Info) -> str:
    """Everything about one file, a line for each fact."""
    metadata = ", ".join(f"{key} ({size:,} bytes)" for key, size in info.metadata.items())
    facts = {
        "file": name,
        "size": f"{info.size:,} bytes{_rates(info)}",
        "image": f"{_size(info)}, {_mode(info)}" if _has_size(info) else f"not looked into ({info.stored_format})",
        "exact": EXACT["stored" if info.payload == "stored" or info.lossy_source else info.exact],
        "coding": _payload(info),
        "decodes": _decodes(info),
        "tiles": _tiles(info),
        "metadata": metadata or ("in the file that is kept" if info.stored_format else "none"),
        "preview": f"{info.preview:,} bytes" if info.preview else "none",
        "format": f"version {info.format_version}",
    }
    width = max(map(len, facts))
    return "\n".join(f"{key:<{width}}  {value}" for key, value in facts.items())


def table(rows: Iterable[tuple[str, Info]]) -> str:
    """Several files, a line for each, with their sum below."""
    rows = list(rows)
    cells = [("size", "bpsp", "ratio", "image", "mode", "exact", "coding", "file")]
    for name, info in rows:
        sized = _has_size(info)
        rates = (f"{info.bpsp:.3f}", f"{info.ratio:.2f}", f"{info.width}x{info.height}") if sized else ("", "", "")
        coding = info.model or info.stored_format or info.payload
        cells.append((f"{info.size:,}", *rates, info.mode, info.exact or "pixels", coding, name))
    cells.append((f"{sum(info.size for _, info in rows):,}", "", "", "", "", "", "", f"{len(rows)} files"))
    *widths, _ = (max(map(len, column)) for column in zip(*cells, strict=True))
    numbers = 4  # columns that are read by their last digit
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column < numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, (*widths, 0), strict=True))
        )
        for row in cells
    )


def _has_size(info: Info) -> bool:
    """Whether the file says how large the image is: one that is kept whole may not."""
    return bool(info.width and info.height)


def _rates(info: Info) -> str:
    if not _has_size(info) or not info.mode:
        return ""
    return f", {info.bpsp:.3f} bits per sub-pixel, 1/{info.ratio:.2f} of the raw samples"


def _mode(info: Info) -> str:
    if not info.mode:
        return "not read as pixels"
    names = {"1": "black and white", "L": "grey", "LA": "grey and alpha", "P": "palette", "I;16": "grey"}
    name = names.get(info.mode, info.mode.partition(";")[0])
    return f"{name}, {info.depth} bits per sample" + (", from an array" if info.source == "array" else "")


def _size(info: Info) -> str:
    if info.images == 1:
        return f"{info.width} x {info.height}"
    return f"{info.images} of {info.width} x {info.height // info.images}"


def _decodes(info: Info) -> str:
    if info.portable:
        return "to the same pixels on every machine"
    return "where the model's arithmetic agrees" + (" within the guard band (calibrated)" if info.calibrated else "")


def _payload(info: Info) -> str:
    if info.jpeg is not None:
        return f"jpeg ({info.jpeg}), recoded by the model {info.model} ({info.model_digest})"
    if info.history is not None:
        return f"the pixels of a JPEG file ({info.history}), by what that held"
    if info.model is not None:
        return f"model {info.model} ({info.model_digest})"
    if info.payload == "stored":
        return f"stored: the bytes of the {info.stored_format} file"
    if info.payload == "file":
        return f"kept whole: the bytes of the {info.stored_format} file, packed"
    return f"lossless {info.payload}"


def _tiles(info: Info) -> str:
    if info.jpeg is not None:
        return "1 segment" if info.tiles == 1 else f"{info.tiles} segments"
    if info.tiles == 1:
        return "1 tile"
    return f"{info.tiles} tiles of {info.tile_size[0]} x {info.tile_size[1]}"
