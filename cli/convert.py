"""What `compress` and `decompress` do to the bytes of one input."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from .. import (
    DEFAULT_MAX_PIXELS,
    ChecksumError,
    DensezipError,
    Info,
    InputError,
    LimitError,
    OutputError,
    OutputFormatError,
)
from ..codec.file.container import MAGIC, check_magic
from . import api
from .api import Progress
from .headers import dimensions
from .names import compressed_name, decompressed_name
from .sources import densezip_suffixes, image_suffixes
from .standing import Made, Standing, standing_of

__all__ = ["KEPT", "Compression", "Conversion", "Converted", "Decompression", "decoding_memory"]

# What the summary calls files whose bytes are stored.
KEPT = "kept"
# Bytes of memory at the most for each pixel, beside the files themselves: the image, its tiles at work, what helpers
# take. Measured on photographs and drawings of several tiles: 44 and 41.
ENCODING_BYTES = 56
DECODING_BYTES = 48
# A density model and the tiles that are at work in it.
MODEL_BYTES = 2**30
# A file whose size in pixels is not known is taken for one that is deflated well.
PIXELS_PER_BYTE = 4


class Converted(NamedTuple):
    """What became of an input.

    Attributes:
        data: The output's bytes.
        header: Of the .dz file, be it output or input.
        lost: What the output's format cannot hold.
        notices: What else there is to say, for those who asked for more.
        other_format: The output is of another format than the source was.
    """

    data: bytes
    header: Info
    lost: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    other_format: bool = False


@dataclass(frozen=True)
class Conversion(ABC):
    """One direction of the work.

    Attributes:
        max_pixels: Larger images are refused.
        model: The density model that codes, by name or path; `None` for densezip's own, and to find that of a file.
        device: Where its network runs.
        word: What the summary calls the files that were converted.
        unforeseen: What it calls those that are to be converted, or kept as they are, which nobody knows before.
        named_by_content: Whether the name of the output depends on what is in the input.
        again: Whether making an output again that is there and right can give a better one.
    """

    max_pixels: int = DEFAULT_MAX_PIXELS
    model: str | None = None
    device: str = "cpu"

    word: ClassVar[str]
    unforeseen: ClassVar[str]
    named_by_content: ClassVar[bool]
    again: ClassVar[bool]

    @abstractmethod
    def suffixes(self) -> frozenset[str]:
        """Suffixes of the files that a folder is searched for."""

    @abstractmethod
    def name(self, name: str, data: bytes) -> str:
        """The output's name, after the input's. `data` is empty unless the name depends on it."""

    @abstractmethod
    def check(self, data: bytes, output: Path | None) -> None:
        """Raises at once for an input that is bound to fail.

        `output` is what `-o` names, if anything: its suffix says how to write it.
        """

    @abstractmethod
    def probe(self, head: bytes) -> None:
        """Raises if the first bytes of an input say that it is no such file."""

    def foresee(self, head: bytes, output: Path | None) -> str:
        """Raises what can be known from the first bytes of an input to come; else says what it would be."""
        self.probe(head)
        self.check(head, output)
        return self.word

    @abstractmethod
    def memory(self, data: bytes) -> int:
        """Bytes of memory that the work is expected to take."""

    @abstractmethod
    def convert(self, data: bytes, name: str, output: Path | None, threads: int, progress: Progress) -> Converted:
        """The output. `name` is the input's."""

    @abstractmethod
    def verify(self, written: bytes, data: bytes, result: Converted, threads: int, progress: Progress) -> None:
        """Raises unless `written`, read back from the disk, is all that `data` was."""

    @abstractmethod
    def stands_for(
        self, existing: bytes, data: bytes, output: Path | None, threads: int, progress: Progress, *, current: bool
    ) -> bool:
        """Whether an output that is there already makes the input dispensable; `current` if its standing is that."""

    @abstractmethod
    def standing(self, existing: bytes, source: Made) -> Standing:
        """What an output that is there already is to the input."""

    @property
    def _decoding(self) -> dict[str, Any]:
        """What every decoding is asked for."""
        return {"model": self.model, "device": self.device, "max_pixels": self.max_pixels}

    def kept(self, header: Info) -> bool:
        """Whether the input's bytes were kept as they are."""
        return False

    def remark(self, header: Info) -> str:
        """What to say of this file to everybody; often nothing."""
        return ""


@dataclass(frozen=True)
class Compression(Conversion):
    """From image files to .dz files.

    Attributes:
        effort: 1 (fast), 5 or 9 (small).
        strip: Drop metadata.
        effort_matters: Files that were coded with less are coded again.
        history: Look whether pixels were decoded from a JPEG file.
        preview: Add a small picture to a large one.
    """

    effort: int = 5
    effort_matters: bool = False
    strip: api.Strip = False
    history: bool = True
    preview: bool = False

    word = "coded"
    unforeseen = "coded or kept"
    named_by_content = False
    again = True

    def suffixes(self) -> frozenset[str]:
        """Those of images."""
        return image_suffixes()

    def name(self, name: str, data: bytes) -> str:
        """`photo.png.dz`."""
        return compressed_name(name)

    def probe(self, head: bytes) -> None:
        """Refuses .dz files, and what is no image."""
        if head.startswith(MAGIC):
            raise InputError("this is a densezip file already")
        api.check_head(head)

    def check(self, data: bytes, output: Path | None) -> None:
        """Knows nothing more."""

    def foresee(self, head: bytes, output: Path | None) -> str:
        """Refuses what begins like no image, or is too large; of most others it is not known what they will be."""
        self.probe(head)
        width, height = dimensions(head) or (0, 0)
        if width * height > self.max_pixels:
            raise LimitError(
                f"{width}x{height} is {width * height} pixels; the limit is {self.max_pixels} (--max-pixels)"
            )
        return KEPT if api.is_always_kept(head) else self.unforeseen

    def memory(self, data: bytes) -> int:
        """By the size in pixels."""
        size = dimensions(data)
        pixels = PIXELS_PER_BYTE * len(data) if size is None else size[0] * size[1]
        taken = ENCODING_BYTES * min(pixels, self.max_pixels) + 3 * len(data)
        return taken + (0 if self.model is None else MODEL_BYTES)

    def convert(self, data: bytes, name: str, output: Path | None, threads: int, progress: Progress) -> Converted:
        """The .dz file."""
        notices: list[str] = []
        made = api.compress(
            api.Named(data, name),
            effort=self.effort,
            history=self.history,
            preview=self.preview,
            threads=threads,
            strip=self.strip,
            model=self.model,
            device=self.device,
            max_pixels=self.max_pixels,
            progress=progress,
            notice=notices.append,
        )
        header = api.info(made)
        # A header does not say whether the bytes that it calls a file are all of the source's.
        if self.strip and header.exact == "file" and api.export(made, max_pixels=self.max_pixels).data != data:
            header = replace(header, exact=None)
        return Converted(made, header, notices=tuple(notices))

    def verify(self, written: bytes, data: bytes, result: Converted, threads: int, progress: Progress) -> None:
        """Decodes the file and compares with what went in; with --strip the pixels."""
        api.verify(
            written,
            original=data,
            pixels_only=bool(self.strip),
            threads=threads,
            **self._decoding,
            progress=progress,
        )

    def stands_for(
        self, existing: bytes, data: bytes, output: Path | None, threads: int, progress: Progress, *, current: bool
    ) -> bool:
        """Whether it gives back this very source; with --strip, and if that is what it was made with, its pixels."""
        try:
            api.verify(
                existing,
                original=data,
                pixels_only=current and bool(self.strip),
                threads=threads,
                **self._decoding,
                progress=progress,
            )
        except DensezipError:
            return False
        return True

    def standing(self, existing: bytes, source: Made) -> Standing:
        """Whether it was made of an image of that size, with these options."""
        effort = self.effort if self.effort_matters else None
        return standing_of(
            existing, source, strip=self.strip, effort=effort, preview=self.preview, max_pixels=self.max_pixels
        )

    def kept(self, header: Info) -> bool:
        """Whether the bytes of the file are stored."""
        return header.payload in ("stored", "file")

    def remark(self, header: Info) -> str:
        """A word on lossy files, whose pixels would take more bytes than the files have."""
        if header.jpeg is not None:
            return " (its coefficients recoded: the same bytes come back)"
        return " (already lossy: kept as it is)" if header.lossy_source else ""


@dataclass(frozen=True)
class Decompression(Conversion):
    """From .dz files to image files.

    Attributes:
        region: (x, y, width, height) of the part that is wanted; None for the whole.
    """

    region: tuple[int, int, int, int] | None = None

    word = "decoded"
    unforeseen = word
    named_by_content = True
    again = False

    def suffixes(self) -> frozenset[str]:
        """`.dz`."""
        return densezip_suffixes()

    def name(self, name: str, data: bytes) -> str:
        """The source's name, or at least its suffix."""
        return decompressed_name(name, api.source_format(api.info(data)))

    def probe(self, head: bytes) -> None:
        """Refuses what is no .dz file."""
        check_magic(head)

    def check(self, data: bytes, output: Path | None) -> None:
        """Refuses formats that are unknown or lossy."""
        if output is not None and output.suffix:
            try:
                api.check_target(output.suffix, api.info(data))
            except OutputFormatError as error:
                raise OutputError(str(error)) from error

    def memory(self, data: bytes) -> int:
        """By the size in pixels."""
        return decoding_memory(data, self.max_pixels)

    def convert(self, data: bytes, name: str, output: Path | None, threads: int, progress: Progress) -> Converted:
        """The image file."""
        extension = output.suffix if output is not None else ""
        try:
            made = api.export(
                data,
                extension or None,
                threads=threads,
                **self._decoding,
                progress=progress,
                region=self.region,
            )
        except OutputFormatError as error:
            raise OutputError(str(error)) from error
        header = api.info(data)
        other = header.exact is not None and not api.same_format(made.extension, api.source_format(header))
        return Converted(made.data, header, made.lost, other_format=other)

    def verify(self, written: bytes, data: bytes, result: Converted, threads: int, progress: Progress) -> None:
        """Compares with what was written: `export` has checked the pixels themselves.

        What another format does not hold was named before. Of a lossy file it holds what one decoder makes of it.
        """
        if written != result.data:
            raise ChecksumError("the file on the disk is not what was written")
        if result.other_format and result.header.lossy_source:
            kind = api.source_format(result.header)
            raise OutputError(f"the {kind} file that went in was lossy: --rm needs its own format")

    def stands_for(
        self, existing: bytes, data: bytes, output: Path | None, threads: int, progress: Progress, *, current: bool
    ) -> bool:
        """Whether it is what would be written, and that holds everything."""
        made = self.convert(data, "", output, threads, progress)
        return made.data == existing and not made.lost and not (made.other_format and made.header.lossy_source)

    def standing(self, existing: bytes, source: Made) -> Standing:
        """Whether it is an image of that size. Of parts nobody knows which one it is."""
        if self.region is not None:
            return Standing.OTHER
        header, size = api.info(source.whole()), dimensions(existing)
        fits = size is None or not header.width or size == (header.width, header.height)
        return Standing.CURRENT if fits else Standing.OTHER


def decoding_memory(data: bytes, max_pixels: int) -> int:
    """Bytes of memory that decoding a .dz file is expected to take; damaged ones take none."""
    try:
        header = api.info(data)
    except DensezipError:
        return 2 * len(data)
    taken = DECODING_BYTES * min((header.width or 0) * (header.height or 0), max_pixels) + 2 * len(data)
    return taken + (MODEL_BYTES if header.payload == "chained" else 0)
