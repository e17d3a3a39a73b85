"""Normal distributions on the cells of a coarse grid, many at a time: the steps of a diffusion.

`GaussianGrid` is for any grid: it takes a bin and a place for each value. Where a cell is as wide as a fraction of the
deviation, and about the same fraction for all values, the cell itself is the symbol: one push each, from a window of
cells about the mean. Few symbols matter when values are *popped*: each has at least 2 units of 2^26 whatever its
probability, and a value drawn from that is an outlier of the window, which the layers to come pay for.

Cell i reaches from i to i + 1 steps. Beyond the window are two more symbols, and the distance: parts of sizes that
double, with probabilities that halve.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import DistributionError, SymbolError
from .codecs import Independent
from .numbers import Uniforms
from .pmf import Categorical, GaussianMixture, Pmf
from .rans import Message

__all__ = ["NormalCells"]

PRECISION = 26
"""Bits: 4 (window + 2) 2^-26 of a value's bits are lost, some 1e-5 of one."""

MOST_STEPS = 2.0**44
"""Means and scales are below so many steps, so that a mean and its cell are exact."""

PARTS = 16
"""Beyond each end: up to 2^16 windows far."""


class NormalCells:
    """Independent normal values as the cells that hold them, int64 of the means' shape.

    Args:
        means: in steps. [...]
        scales: standard deviations in steps, above 0. [...]
        window: cells about the mean that have a symbol each, at most 2^8: some twelve deviations.

    Raises:
        DistributionError: parameters are not finite, too large, or a scale is not positive.
    """

    def __init__(self, means: Tensor, scales: Tensor, window: int) -> None:
        self._shape, self._window = means.shape, window
        self._means, self._scales = means.double().reshape(-1), scales.double().expand(means.shape).reshape(-1)
        wrong = ~((self._means.abs() < MOST_STEPS) & (self._scales > 0) & (self._scales < MOST_STEPS))
        if bool(wrong.any()):
            place = int(wrong.nonzero()[0])
            found = f"a mean of {float(self._means[place])} and a scale of {float(self._scales[place])} steps"
            raise DistributionError(f"{found} at {place} of {len(wrong)}; the most is 2^44")
        self._first = self._means.floor().long() - window // 2

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`. Raises SymbolError for a cell further than 2^16 windows from the mean."""
        if symbols.shape != self._shape:
            raise SymbolError(f"cells {list(symbols.shape)} for distributions over {list(self._shape)}")
        place = symbols.reshape(-1) - self._first + 1
        inside = place.clamp(0, self._window + 1)
        far = ((inside == 0) | (inside > self._window)).nonzero()[:, 0]
        if len(far):
            distance = torch.where(inside[far] == 0, -place[far], place[far] - self._window - 1)
            if int(distance.max()) >= self._window * ((1 << PARTS) - 1):
                raise SymbolError(f"a cell {int(distance.max())} steps beyond a window of {self._window}")
            part = torch.frexp((distance // self._window + 1).double())[1].long() - 1
            sizes = self._window << part
            self._places(sizes).push(message, distance - self._begin(part))
            self._parts(len(far)).push(message, part)
        self._inside().push(message, inside)

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        place = self._inside().pop(message)
        far = ((place == 0) | (place > self._window)).nonzero()[:, 0]
        if len(far):
            part = self._parts(len(far)).pop(message)
            distance = self._places(self._window << part).pop(message) + self._begin(part)
            place[far] = torch.where(place[far] == 0, -distance, distance + self._window + 1)
        return (place + self._first - 1).view(self._shape)

    def _inside(self) -> Independent:
        # A mixture's symbol s is from s - 1/2 to s + 1/2, and here from s - 1 to s steps behind the window's beginning.
        means, scales = (self._means - self._first + 0.5)[:, None], self._scales[:, None]
        logits = torch.zeros_like(means)

        def pmf(first: int, stop: int) -> Pmf:
            part = slice(first, stop)
            return GaussianMixture(logits[part], means[part], scales[part], self._window + 2, PRECISION)

        return Independent(pmf, len(means))

    def _begin(self, part: Tensor) -> Tensor:
        """Where a part begins, in steps from the window's end."""
        return self._window * ((1 << part) - 1)

    def _parts(self, count: int) -> Independent:
        weights = torch.ldexp(torch.ones(PARTS, dtype=torch.float64), -torch.arange(PARTS))
        return Independent(lambda first, stop: Categorical(weights.expand(stop - first, -1)), count)

    def _places(self, sizes: Tensor) -> Independent:
        return Independent(lambda first, stop: Uniforms(sizes[first:stop]), len(sizes))
