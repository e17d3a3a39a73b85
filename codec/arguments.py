"""Arguments of the public functions that are of a wrong type, or out of range: errors before the work."""

from .errors import UsageError

__all__ = ["check_callables", "check_extension", "check_number", "check_strip"]


def check_number(name: str, value: object, least: int, most: int | None = None) -> None:
    """Refuse what is no integer of a range.

    Args:
        name: of the argument.
        value: what was given.
        least: the smallest that makes sense.
        most: the largest; None for no limit.

    Raises:
        UsageError: it is none.
    """
    if isinstance(value, bool | type) or not hasattr(value, "__index__"):
        raise UsageError(f"{name}={value!r}: an integer is wanted, not {type(value).__name__}")
    try:
        number = int(value.__index__())
    except TypeError as error:
        raise UsageError(f"{name}={value!r}: an integer is wanted, not {type(value).__name__}") from error
    if number < least or (most is not None and number > most):
        raise UsageError(f"{name} {value}: from {least}" + ("" if most is None else f" to {most}"))


def check_callables(**functions: object) -> None:
    """Refuse what cannot be called.

    Args:
        functions: by the names of their arguments; None for no function.

    Raises:
        UsageError: one of them is no function.
    """
    for name, function in functions.items():
        if function is not None and not callable(function):
            raise UsageError(f"{name}={function!r}: a function is wanted, not {type(function).__name__}")


def check_extension(extension: object) -> None:
    """Refuse what is no extension of a file name.

    Raises:
        UsageError: neither text nor None.
    """
    if not (extension is None or isinstance(extension, str)):
        raise UsageError(f"extension={extension!r}: text such as 'png' is wanted, not {type(extension).__name__}")


def check_strip(strip: object) -> None:
    """Refuse what does not say which metadata are to be dropped.

    Raises:
        UsageError: none of False, True and "all".
    """
    if not (isinstance(strip, bool) or (isinstance(strip, str) and strip == "all")):
        raise UsageError(f"strip={strip!r}: False, True or 'all'")
