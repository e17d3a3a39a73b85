"""Numbers and bytes of which most are what one expects: only the others are written. Standard library only.

The same walk over a structure writes with a `Recorder` and reads with a `Player`: it says what it expects, and how to
find out what there is, which the player does not ask. Each number is an event; those that are not as expected are
written as (events passed over, zigzag of the difference), and bytes that are not, behind all of these.
"""

from collections.abc import Callable

from ...errors import CorruptPayloadError, TruncatedError
from ...fields import Reader, varint

__all__ = ["OddNumberError", "Player", "Recorder", "Script"]

MAX_NUMBER = 2**61


class OddNumberError(ValueError):
    """A number that no sound structure has; the recorder refuses it."""


class Recorder:
    """Writes what is not as expected."""

    def __init__(self) -> None:
        self.passed = 0
        self.events = bytearray()
        self.literals = bytearray()

    def fork(self) -> "Recorder":
        """Another recorder that goes on from here."""
        other = Recorder()
        other.passed, other.events, other.literals = self.passed, self.events[:], self.literals[:]
        return other

    def number(self, expected: int, actual: Callable[[], int]) -> int:
        """Write a number, and return it.

        Raises:
            OddNumberError: it is negative or too large.
        """
        value = actual()
        if not 0 <= value < MAX_NUMBER:
            raise OddNumberError(f"{value} is not below {MAX_NUMBER}")
        if value == expected:
            self.passed += 1
        else:
            difference = value - expected
            self.events += varint(self.passed) + varint(2 * difference - 1 if difference > 0 else -2 * difference)
            self.passed = 0
        return value

    def data(self, length: int, expected: bytes | None, actual: Callable[[], bytes]) -> bytes:
        """Write bytes whose number the reader will know, and return them."""
        value = actual()
        if expected is not None and len(expected) == length:
            if self.number(0, lambda: int(value != expected)):
                self.literals += value
        else:
            self.literals += value
        return value

    def finish(self) -> bytes:
        """All that was written."""
        return varint(len(self.events)) + bytes(self.events) + bytes(self.literals)


class Player:
    """Reads what a recorder wrote."""

    def __init__(self, script: memoryview) -> None:
        try:
            head = Reader(script, 0, TruncatedError)
            events = head.take(head.varint("length of the events"), "events")
            self.events = Reader(events, 0, TruncatedError)
            self.literals = Reader(script, head.position, TruncatedError)
            self.passed = -1
            self._advance()
        except Exception as error:
            raise CorruptPayloadError(f"a remainder that is cut short: {error}") from error

    def _advance(self) -> None:
        self.passed = self.events.varint("event") if self.events.left else -1

    def number(self, expected: int, _: Callable[[], int] | None = None) -> int:
        """The next number.

        Raises:
            CorruptPayloadError: there is none that makes sense.
        """
        if self.passed:
            self.passed -= 1
            return expected
        try:
            code = self.events.varint("difference")
            self._advance()
        except Exception as error:
            raise CorruptPayloadError(f"a remainder that is cut short: {error}") from error
        value = expected + ((code + 1) // 2 if code % 2 else -code // 2)
        if not 0 <= value < MAX_NUMBER or not code:
            raise CorruptPayloadError(f"a remainder with the number {value}")
        return value

    def data(self, length: int, expected: bytes | None, _: Callable[[], bytes] | None = None) -> bytes:
        """The next bytes.

        Raises:
            CorruptPayloadError: there are not so many.
        """
        if expected is not None and len(expected) == length and not self.number(0):
            return expected
        try:
            return bytes(self.literals.take(length, "bytes"))
        except TruncatedError as error:
            raise CorruptPayloadError(f"a remainder that is cut short: {error}") from error

    def rest(self) -> bytes:
        """The literals that are left; a zero if there are none, but an event is."""
        return bytes(self.literals.take(self.literals.left, "bytes")) or bytes(self.passed >= 0)

    def finish(self) -> None:
        """Check that nothing is left.

        Raises:
            CorruptPayloadError: something is.
        """
        if self.passed >= 0 or self.literals.left:
            raise CorruptPayloadError(f"a remainder with {self.literals.left} bytes, or an event, too many")


Script = Recorder | Player
