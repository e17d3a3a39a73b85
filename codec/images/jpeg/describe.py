"""What a JPEG image is, in words: how fine its steps are, how its colours are sampled, how its scans are ordered."""

from .frame import Frame
from .habits import LUMA_STEPS

__all__ = ["in_words", "quality", "sampling"]


def quality(steps: tuple[int, ...]) -> int:
    """The quality for which libjpeg's steps of luma have the mean that these have, 1 to 100.

    Other programs count otherwise: two files of the same number are alike in their steps, not in who wrote them.
    """
    scale = 100 * sum(steps) / sum(LUMA_STEPS)
    found = 100 - scale / 2 if scale <= 100 else 5000 / scale
    return min(100, max(1, round(found)))


def sampling(frame: Frame) -> str:
    """How colours are sampled, as 4:2:0; of other than usual ones the blocks of each component, as 1x2,2x1."""
    parts = [(component.across, component.down) for component in frame.components]
    if len(parts) == 1:
        return "grey"
    across, down = max(x for x, _ in parts), max(y for _, y in parts)
    finest, others = parts[0], set(parts[1:])
    names = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (1, 2): "4:4:0", (4, 1): "4:1:1", (4, 2): "4:1:0"}
    if len(parts) == 3 and finest == (across, down) and len(others) == 1:
        x, y = next(iter(others))
        if across % x == 0 and down % y == 0 and (across // x, down // y) in names:
            return names[across // x, down // y]
    return ",".join(f"{x}x{y}" for x, y in parts)


def in_words(frames: list[Frame]) -> str:
    """`quality 92, 4:2:0, progressive`, of the first image, and how many others there are."""
    first = frames[0]
    words = [f"quality {quality(first.steps[0])}", sampling(first)]
    words.append("progressive" if first.progressive else "sequential")
    if len(frames) > 1:
        words.append(f"{len(frames) - 1} more images inside")
    return ", ".join(words)
