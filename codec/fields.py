"""Numbers and texts in a row of bytes, and a cursor that reads them back. Standard library only."""

from .errors import HeaderError, TruncatedError

__all__ = ["Reader", "text", "varint"]

MAX_VARINT_BYTES = 9


def varint(value: int) -> bytes:
    """A number, seven bits a byte from the lowest on."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def text(value: str) -> bytes:
    """ASCII letters after their number."""
    data = value.encode("ascii")
    return varint(len(data)) + data


class Reader:
    """A cursor over bytes that raises `error` where they end too early."""

    def __init__(self, view: memoryview, position: int, error: type[TruncatedError] | type[HeaderError]) -> None:
        self.view = view
        self.position = position
        self.error = error

    @property
    def left(self) -> int:
        """Bytes not yet taken."""
        return len(self.view) - self.position

    def take(self, length: int, what: str) -> memoryview:
        """The next bytes; `what` they are is for the error."""
        if length > self.left:
            raise self.error(f"{what}: {length} bytes wanted, {self.left} left")
        self.position += length
        return self.view[self.position - length : self.position]

    def varint(self, what: str) -> int:
        """The next number."""
        value = 0
        for index in range(MAX_VARINT_BYTES):
            byte = self.take(1, what)[0]
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                if byte == 0 and index:
                    raise HeaderError(f"{what}: a number with leading zeros")
                return value
        raise HeaderError(f"{what}: a number of more than {MAX_VARINT_BYTES} bytes")

    def text(self, what: str) -> str:
        """The next text: its length and ASCII letters."""
        data = bytes(self.take(self.varint(what), what))
        if not data or not data.isascii() or not data.decode("ascii").isprintable():
            raise HeaderError(f"{what}: not printable ASCII: {data[:16]!r}")
        return data.decode("ascii")
