"""Layers for local bits-back coding whose Jacobian is a matrix.

    Linear          a matrix, one for all or one for each block, or chosen for each among several
    BlackBox        any bijection, by its Jacobian
    UnitTriangular  a triangular matrix with a diagonal of 1, of any dimension: on the grid itself, exact and free

In the first two, z near f(x) has the covariance σ² J Jᵀ: it is coded one dimension after the other, each given those
before.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import DistributionError
from .codecs import Codec
from .localbitsback import Bijection, Grid, LocalBijection, Relabelled
from .rans import Message

__all__ = ["BlackBox", "Linear", "UnitTriangular"]


@dataclass(frozen=True)
class _Correlated:
    """Normal vectors of covariance σ² L Lᵀ, one dimension after the other, each given those before it.

    Attributes:
        means: [..., n]
        row: of L, lower triangular with a positive diagonal, by its number. [..., n]
        grid: with σ.
    """

    means: Tensor
    row: Callable[[int], Tensor]
    grid: Grid

    def _given(self, number: int, white: Tensor) -> tuple[Codec[Tensor], Tensor, Tensor]:
        """The codec of a dimension, its mean and its scale, from the whitened differences of those before."""
        row = self.row(number)
        mean = self.means[..., number] + (row[..., :number] * white[..., :number]).sum(-1)
        return self.grid.noise(mean, row[..., number]), mean, row[..., number]

    def push(self, message: Message, symbols: Tensor) -> None:
        """See `Codec`."""
        white, codecs = torch.zeros_like(self.means), []
        for number in range(self.means.shape[-1]):
            codec, mean, scale = self._given(number, white)
            white[..., number] = (self.grid.values(symbols[..., number]) - mean) / scale
            codecs.append(codec)
        for number in reversed(range(len(codecs))):
            codecs[number].push(message, symbols[..., number])

    def pop(self, message: Message) -> Tensor:
        """See `Codec`."""
        white, symbols = torch.zeros_like(self.means), torch.zeros_like(self.means, dtype=torch.int64)
        for number in range(self.means.shape[-1]):
            codec, mean, scale = self._given(number, white)
            symbols[..., number] = codec.pop(message)
            white[..., number] = (self.grid.values(symbols[..., number]) - mean) / scale
        return symbols


def _factor(jacobian: Tensor) -> Tensor:
    """The lower triangular L of J Jᵀ = L Lᵀ, from J = L Q: better conditioned than the product.

    Args:
        jacobian: [..., n, m], m at least n
    """
    if not bool(torch.isfinite(jacobian).all()):
        raise DistributionError("a Jacobian is not finite")
    upper = torch.linalg.qr(jacobian.mT).R
    diagonal = upper.diagonal(dim1=-2, dim2=-1)
    if bool((diagonal == 0).any()):
        raise DistributionError("a Jacobian is singular")
    factor: Tensor = (upper * torch.sign(diagonal)[..., :, None]).mT
    return factor


@dataclass(frozen=True)
class BlackBox(LocalBijection):
    """Any bijection of vectors [N, n], by its full Jacobian: of small dimensions n, as it takes n³ steps a vector.

    Source: Ho, Lohn and Abbeel (2019), algorithm 1.

    Attributes:
        function: f, from values [N, n] to [N, n], each row by itself.
        inverted: f⁻¹.
        jacobian: from values [N, n] to J [N, n, n]; by automatic differentiation of `function` where it is None.
    """

    function: Callable[[Tensor], Tensor]
    inverted: Callable[[Tensor], Tensor]
    jacobian: Callable[[Tensor], Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """See `Bijection`."""
        return self.function(x)

    def inverse(self, z: Tensor) -> Tensor:
        """See `Bijection`."""
        return self.inverted(z)

    def _jacobian(self, x: Tensor) -> Tensor:
        if self.jacobian is not None:
            return self.jacobian(x)
        jacobian: Tensor = torch.func.vmap(torch.func.jacrev(lambda row: self.function(row[None])[0]))(x)
        return jacobian

    def posterior(self, x: Tensor, grid: Grid) -> Codec[Tensor]:
        """See `LocalBijection`."""
        x = grid.values(x)
        factor = _factor(self._jacobian(x))
        return _Correlated(self.function(x), lambda number: factor[..., number, :], grid)

    def likelihood(self, z: Tensor, grid: Grid) -> Codec[Tensor]:
        """See `LocalBijection`."""
        return grid.noise(self.inverted(grid.values(z)), 1.0)


class Linear(LocalBijection):
    """z = W x + b on the last axis, with a small full matrix: one for all, or one for each block.

    Take x [N, blocks, n] with W [blocks, n, n] for a block-diagonal matrix, with W [n, n] if the blocks share it; for a
    convolution of 1x1 the channels are the last axis, see `bijections.conv1x1`. Takes n steps, each for all at once.
    Matrices may also be `chosen` for each block among several.

    Args:
        weight: W. [..., n, n]
        bias: b. [..., n], or None for 0.

    Raises:
        DistributionError: W is singular or not finite.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self.weight = weight.double()
        self.bias = torch.zeros_like(self.weight[..., 0]) if bias is None else bias.double()
        _factor(self.weight)
        self._back: Tensor = torch.linalg.inv(self.weight)
        self._known: tuple[float, Tensor, Tensor] | None = None
        self._choice: Tensor | None = None

    def chosen(self, choice: Tensor) -> Linear:
        """The same with W [choices, n, n] or [choices, blocks, n, n], of which every block takes one.

        Args:
            choice: int64 [N, blocks], for x [N, blocks, n].
        """
        found = copy.copy(self)
        found._choice = choice
        return found

    def forward(self, x: Tensor) -> Tensor:
        """See `Bijection`."""
        return self._times(self.weight, x) + self._of(self.bias)

    def inverse(self, z: Tensor) -> Tensor:
        """See `Bijection`."""
        return self._times(self._back, z - self._of(self.bias))

    def posterior(self, x: Tensor, grid: Grid) -> Codec[Tensor]:
        """See `LocalBijection`."""
        factor, _ = self._factors(grid.least)
        return _Correlated(self.forward(grid.values(x)), lambda n: self._of(factor[..., n, :]), grid)

    def likelihood(self, z: Tensor, grid: Grid) -> Codec[Tensor]:
        """See `LocalBijection`."""
        _, factor = self._factors(grid.least)
        return _Correlated(self.inverse(grid.values(z)), lambda n: self._of(factor[..., n, :]), grid)

    def _factors(self, least: float) -> tuple[Tensor, Tensor]:
        """L of W Wᵀ + l² I = L Lᵀ for the least noise l, and of the covariance that is this in x."""
        if self._known is None or self._known[0] != least:
            eye = torch.eye(self.weight.shape[-1], dtype=torch.float64).expand_as(self.weight)
            beyond = _factor(torch.cat([self.weight, least * eye], -1))
            self._known = least, beyond, _factor(torch.cat([eye, least * self._back], -1))
        return self._known[1:]

    def _of(self, vectors: Tensor) -> Tensor:
        """Those of the choice of every block, from [..., n]."""
        if self._choice is None:
            return vectors
        blocks = torch.arange(self._choice.shape[1]).expand_as(self._choice)
        return vectors[self._choice] if vectors.ndim == 2 else vectors[self._choice, blocks]

    def _times(self, matrices: Tensor, x: Tensor) -> Tensor:
        """Matrices times vectors, those of a choice for all blocks at once."""
        if self._choice is None:
            return (matrices @ x[..., None])[..., 0]
        found = torch.zeros_like(x)
        for number, matrix in enumerate(matrices):
            found = torch.where((self._choice == number)[..., None], (matrix @ x[..., None])[..., 0], found)
        return found


@dataclass(frozen=True)
class UnitTriangular(Bijection):
    """z = x + N x for items [B, ...] of D elements, flat, N strictly lower triangular: steps of the grid are added.

    As in `bijections.shifted`, nothing is lost, and no bits are needed to begin with. Takes D short steps.

    Attributes:
        below: N, of which the strictly lower triangle is read. [D, D] float64
        rounded: (values, step) -> multiples of the step; `Calibration.round` where another machine is to read them.
        step: a power of two, that of what is added: fine beside the deviation of any z.
    """

    below: Tensor
    rounded: Callable[[Tensor, float], Tensor]
    step: float

    def forward(self, x: Tensor) -> Tensor:
        """See `Bijection`."""
        flat = x.flatten(1)
        return (flat + flat @ self.below.tril(-1).mT).view(x.shape)

    def inverse(self, z: Tensor) -> Tensor:
        """See `Bijection`."""
        solved: Tensor = torch.linalg.solve_triangular(self.below, z.flatten(1).mT, upper=False, unitriangular=True)
        return solved.mT.reshape(z.shape)

    def codec(self, prior: Codec[Tensor], grid: Grid) -> Codec[Tensor]:
        """See `Bijection`. Shifts are rounded from the last to the first, as whoever reads begins with the first."""
        coarse = torch.tensor(grid.bits)

        def shift(number: int, before: Tensor) -> Tensor:
            values = before[:, :number] @ self.below[number, :number]
            return torch.ldexp(self.rounded(values, max(self.step, 2.0**-grid.bits)), coarse).long()

        def inward(x: Tensor) -> Tensor:
            flat = x.flatten(1)
            values, found = grid.values(flat), flat.clone()
            for number in reversed(range(flat.shape[1])):
                found[:, number] += shift(number, values)
            return found.view(x.shape)

        def outward(z: Tensor) -> Tensor:
            found = z.flatten(1).clone()
            values = torch.zeros(found.shape, dtype=torch.float64, device=z.device)
            for number in range(found.shape[1]):
                found[:, number] -= shift(number, values)
                values[:, number] = grid.values(found[:, number])
            return found.view(z.shape)

        return Relabelled(prior, inward, outward)
