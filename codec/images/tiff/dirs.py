"""The structure of a TIFF file: its header, directories, their entries and where the values lie. Standard library only.

Classic and BigTIFF, either byte order. Every number is checked against the length of the file before it is used.

Source: TIFF 6.0, section 2 (structure); the BigTIFF design of libtiff; Exif 2.32, section 4.6.3 (sub-directories).
"""

import struct
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ...errors import UnreadableImageError

__all__ = [
    "LETTERS",
    "MAX_DEPTH",
    "SIZES",
    "SUB_DIRECTORIES",
    "Directory",
    "Entry",
    "Field",
    "Source",
    "Tiff",
    "directory",
    "omitted",
    "parse",
    "serialise",
    "tree",
]

# Bytes of one value, by the type of the entry.
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
LETTERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
LONG = 4
# The directories that hold metadata alone: EXIF and GPS beside the image's tags, interoperability in that of EXIF.
EXIF, GPS, INTEROPERABILITY = 34665, 34853, 40965
SUB_DIRECTORIES = (EXIF, GPS, INTEROPERABILITY)
MAX_ENTRIES = 4096
# No tag has more numbers: strips or tiles.
MAX_NUMBERS = 2**20
# Metadata may be nested as deep as interoperability in EXIF in the first directory.
MAX_DEPTH = 3


class Source(Protocol):
    """A file's bytes, or those of them that are known."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: slice, /) -> bytes: ...


@dataclass(frozen=True)
class Entry:
    """One entry of a directory.

    Attributes:
        tag: its number.
        kind: the type of its values.
        count: how many values.
        place: where in the file they begin: in the entry itself if there is room.
        length: their bytes, 0 if the type is not known.
        inline: whether they stand in the entry itself.
    """

    tag: int
    kind: int
    count: int
    place: int
    length: int
    inline: bool


@dataclass(frozen=True)
class Directory:
    """One directory: where it is, what is in it, and where the next one is said to be (0: nowhere)."""

    position: int
    entries: tuple[Entry, ...]
    end: int
    following: int


@dataclass(frozen=True)
class Tiff:
    """A file and its first directory."""

    data: bytes
    order: str
    big: bool
    first: Directory

    def find(self, tag: int) -> Entry | None:
        """The first entry of a tag."""
        return next((entry for entry in self.first.entries if entry.tag == tag), None)

    def raw(self, tag: int) -> bytes:
        """The bytes of a tag's values; none if there is no such tag."""
        entry = self.find(tag)
        return self.data[entry.place : entry.place + entry.length] if entry else b""

    def numbers(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """A tag's values, which must be unsigned integers.

        Raises:
            UnreadableImageError: they are of another type, or there are none or too many.
        """
        entry = self.find(tag)
        if entry is None:
            return default
        if entry.kind not in LETTERS or not 0 < entry.count <= MAX_NUMBERS:
            raise UnreadableImageError(
                f"a damaged TIFF file: tag {tag} has {entry.count} values of type {entry.kind}, not unsigned integers"
            )
        return struct.unpack(f"{self.order}{entry.count}{LETTERS[entry.kind]}", self.raw(tag))

    def number(self, tag: int, default: int) -> int:
        """A tag's only value.

        Raises:
            UnreadableImageError: it has several, or is no unsigned integer.
        """
        values = self.numbers(tag, (default,))
        if len(values) > 1:
            raise UnreadableImageError(f"a damaged TIFF file: {len(values)} values for tag {tag}, which has one")
        return values[0]


def parse(data: bytes) -> Tiff:
    """Read a TIFF file's header and first directory.

    Raises:
        UnreadableImageError: damaged or cut short.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[:2], "")
    if not order or len(data) < 8:
        raise UnreadableImageError(f"a TIFF file that is cut short after {len(data)} bytes, or is none")
    (version,) = struct.unpack_from(order + "H", data, 2)
    big = version == 43
    if version not in (42, 43) or (big and (len(data) < 16 or struct.unpack_from(order + "HH", data, 4) != (8, 0))):
        raise UnreadableImageError(f"a damaged TIFF file: version {version}, in a header of {min(len(data), 16)} bytes")
    (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    return Tiff(data, order, big, directory(data, order, big, start))


def directory(data: Source, order: str, big: bool, position: int) -> Directory:
    """Read a directory.

    Raises:
        UnreadableImageError: it is not inside the file, or something in it is not.
    """
    head, width, tail = ("Q", 20, 8) if big else ("H", 12, 4)
    first = position + struct.calcsize("=" + head)
    if position < (16 if big else 8) or first > len(data):
        raise UnreadableImageError(f"a TIFF file of {len(data)} bytes whose directory is at byte {position}")
    (count,) = struct.unpack(order + head, data[position:first])
    end = first + count * width + tail
    if not 0 < count <= MAX_ENTRIES or end > len(data):
        raise UnreadableImageError(f"a TIFF file of {len(data)} bytes with {count} entries at byte {position}")
    body = data[first:end]
    entries = []
    for start in range(0, count * width, width):
        tag, kind, values = struct.unpack_from(order + ("HHQ" if big else "HHI"), body, start)
        place, length, room = start + (12 if big else 8), values * SIZES.get(kind, 0), 8 if big else 4
        if inline := length <= room:
            entries.append(Entry(tag, kind, values, first + place, length, inline))
            continue
        (place,) = struct.unpack_from(order + ("Q" if big else "I"), body, place)
        if place + length > len(data):
            raise UnreadableImageError(
                f"a TIFF file of {len(data)} bytes whose tag {tag} has {length} bytes at byte {place}"
            )
        entries.append(Entry(tag, kind, values, place, length, inline))
    (following,) = struct.unpack_from(order + ("Q" if big else "I"), body, count * width)
    return Directory(position, tuple(entries), end, following)


@dataclass(frozen=True)
class Field:
    """An entry apart from any file: its values' bytes, or the directory that it points to."""

    tag: int
    kind: int
    content: "bytes | tuple[Field, ...]"


Fields: TypeAlias = tuple[Field, ...]


def tree(data: Source, order: str, big: bool, entries: tuple[Entry, ...]) -> Fields:
    """Entries with their values and, for EXIF, GPS and interoperability, what is in those directories.

    A sub-directory that is damaged is left out, as are an entry of an unknown type and a second one of a tag: this is
    for metadata alone. In all they have no more bytes than the file.
    """
    return _tree(data, order, big, entries, MAX_DEPTH, [len(data)], set())


def omitted(data: Source, order: str, big: bool, entries: tuple[Entry, ...]) -> set[int]:
    """The tags that have values which `tree` leaves out, in EXIF, GPS and interoperability, too."""
    left: set[int] = set()
    _tree(data, order, big, entries, MAX_DEPTH, [len(data)], left)
    return left


def _tree(
    data: Source, order: str, big: bool, entries: tuple[Entry, ...], depth: int, budget: list[int], left: set[int]
) -> Fields:
    fields: dict[int, Field] = {}
    for entry in entries:
        budget[0] -= entry.length
        if entry.tag in fields or not entry.length or budget[0] < 0:
            left |= {entry.tag} if entry.count else set()
            continue
        try:
            value = data[entry.place : entry.place + entry.length]
            content: bytes | Fields = value
            if entry.tag in SUB_DIRECTORIES:
                if depth == 1 or entry.count != 1 or entry.kind not in LETTERS:
                    left.add(entry.tag)
                    continue
                (position,) = struct.unpack(order + LETTERS[entry.kind], value)
                below = directory(data, order, big, position).entries
                content = _tree(data, order, big, below, depth - 1, budget, left)
        except UnreadableImageError:
            left.add(entry.tag)
            continue
        if content:
            fields[entry.tag] = Field(entry.tag, entry.kind, content)
    return tuple(fields.values())


def serialise(fields: Fields, order: str, position: int = 8) -> bytes:
    """A classic directory at `position`, its values and sub-directories behind it, in the order of the entries."""
    entries, values = bytearray(struct.pack(order + "H", len(fields))), bytearray()
    cursor = position + 2 + 12 * len(fields) + 4
    for field in fields:
        if isinstance(field.content, tuple):
            below = serialise(field.content, order, cursor + len(values))
            entries += struct.pack(order + "HHII", field.tag, LONG, 1, cursor + len(values))
            values += below
            continue
        head = struct.pack(order + "HHI", field.tag, field.kind, len(field.content) // SIZES[field.kind])
        if len(field.content) <= 4:
            entries += head + field.content.ljust(4, b"\0")
        else:
            entries += head + struct.pack(order + "I", cursor + len(values))
            values += field.content + bytes(len(field.content) % 2)
    return bytes(entries + bytes(4) + values)
