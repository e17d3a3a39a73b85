"""The order of an image's few colours in which neighbours in the image have indices that are near.

Colours along a path (a map in false colours, a fade) become amounts again by it, which can be predicted.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["best_order"]

Orders = npt.NDArray[np.int64]


def best_order(indices: npt.NDArray[np.uint8], colours: npt.NDArray[np.uint16]) -> Orders:
    """The order of colours in which the image's steps from pixel to pixel are smallest, of some that may be.

    Args:
        indices: of each pixel's colour. [h, w]
        colours: [n, C], in an order of their own.

    Returns:
        which colour comes first, second, ... [n]
    """
    count = len(colours)
    if count < 3:
        return np.arange(count)
    steps = _steps(indices, count)
    orders = [np.arange(count), _by_steps(steps), _by_colours(colours)]
    return min(orders, key=lambda order: _cost(steps, order))


def _steps(indices: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.float64]:
    """How often each pair of colours lies side by side. [n, n], symmetric, zeros on the diagonal."""
    wide = indices.astype(np.int64)
    pairs = np.bincount((wide[:, 1:] * count + wide[:, :-1]).ravel(), minlength=count * count)
    pairs = pairs + np.bincount((wide[1:] * count + wide[:-1]).ravel(), minlength=count * count)
    table = pairs.reshape(count, count).astype(np.float64)
    np.fill_diagonal(table, 0)
    return table + table.T


def _cost(steps: npt.NDArray[np.float64], order: Orders) -> float:
    place = np.empty(len(order))
    place[order] = np.arange(len(order))
    return float((steps * np.log2(1 + np.abs(place[:, None] - place))).sum())


def _by_steps(steps: npt.NDArray[np.float64]) -> Orders:
    """By the slowest change over the graph of steps, in which what often lies side by side is close.

    Source: Atkins, Boman, Hendrickson, *A spectral algorithm for seriation and the consecutive ones problem* (1998).
    """
    # What never meets is tied together weakly, so that there is one graph.
    ties = steps / max(1.0, float(steps.max())) + 1e-6
    scale = 1 / np.sqrt(ties.sum(axis=1))
    normal = np.eye(len(ties)) - ties * scale[:, None] * scale
    slowest = np.linalg.eigh(normal)[1][:, 1]
    return np.argsort(slowest * scale, kind="stable")


def _by_colours(colours: npt.NDArray[np.uint16]) -> Orders:
    """From the colour that is farthest from the mean always on to the nearest that is left."""
    points = colours.astype(np.float64)
    left = np.ones(len(points), bool)
    at = int(np.argmax(((points - points.mean(axis=0)) ** 2).sum(axis=1)))
    order = []
    for _ in range(len(points)):
        order.append(at)
        left[at] = False
        distances = np.where(left, ((points - points[at]) ** 2).sum(axis=1), np.inf)
        at = int(np.argmin(distances))
    return np.array(order)
