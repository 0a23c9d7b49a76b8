"""Leaving out hidden channels that say next to nothing, or what others say, which makes a model faster.

What a block gives is a weighted sum of its hidden channels. The channel whose loss costs the sum least is left out,
and the weights of the others make up for it as well as they can: the optimal brain surgeon (Hassibi and Stork, 1993),
with the channels' covariance on photographs in the place of the Hessian, which it is for a sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ectype.errors import InvalidDataError
from ectype_training.efficientnet_lite import Block, SameConv
from ectype_training.student import Student

MULTIPLE = 16
"""Channels are left out by so many at a time: what processors multiply at once."""

_DAMPING = 1e-4  # of the mean variance, so that channels without any can be told apart
_VALUES = 60_000  # of each channel and scale that covariances are computed of


class _Channels(NamedTuple):
    """What a block's hidden channels hold."""

    mean: Tensor
    covariance: Tensor


def narrow(student: Student, images: Tensor, errors: Sequence[float]) -> list[int]:
    """Leave out hidden channels of a student's blocks, one block after the other.

    Parameters
    ----------
    student : Student
        Changed in place; in `eval` mode.
    images : Tensor of uint8, shape (n, s, s, 3)
        Pictures as it will see them.
    errors : sequence of float
        For each block: how much of the variance of what it gives may be lost, 0 to 1. With 0 it is left as it is, and
        so is the first, whose channels are the stem's.

    Returns
    -------
    list of int
        Hidden channels of each block that are left.

    Raises
    ------
    InvalidDataError
        There is not one error for each block, or one is not from 0 to 1.
    """
    blocks = student.backbone._blocks
    if len(errors) != len(blocks) or not all(0 <= error < 1 for error in errors):
        raise InvalidDataError(f"one error from 0 to less than 1 for each of {len(blocks)} blocks, not {list(errors)}")
    with torch.no_grad():
        seen = [student.backbone.stem(x) for x in student.looked_at(images)]
        for block, error in zip(blocks, errors, strict=True):
            if error and block.expands:
                _narrow_block(block, _channels([block.hidden(x) for x in seen]), error)
            seen = [block(x) for x in seen]
    return student.backbone.widths


def _channels(hidden: Sequence[Tensor]) -> _Channels:
    rows = []
    for x in hidden:
        flat = x.transpose(0, 1).flatten(1)
        rows.append(flat[:, :: -(-flat.shape[1] // _VALUES)])
    values = torch.cat(rows, 1).double()
    mean = values.mean(1)
    centred = values - mean[:, None]
    return _Channels(mean, centred @ centred.T / values.shape[1])


def _narrow_block(block: Block, channels: _Channels, error: float) -> None:
    weights = block._project_conv.weight[:, :, 0, 0].double()
    kept, left = _least_needed(weights, channels.covariance, error)
    if len(kept) == len(channels.mean):
        return
    lost = weights @ channels.mean - left @ channels.mean[kept]  # of what the block gives on average
    norm = block._bn2
    norm.bias += norm.weight * lost.float() / (norm.running_var + norm.eps).sqrt()
    block._expand_conv = _convolution(block._expand_conv, block._expand_conv.weight[kept])
    block._bn0 = _normalisation(block._bn0, kept)
    block._depthwise_conv = _convolution(block._depthwise_conv, block._depthwise_conv.weight[kept])
    block._bn1 = _normalisation(block._bn1, kept)
    block._project_conv = _convolution(block._project_conv, left.float()[:, :, None, None])


def _least_needed(weights: Tensor, covariance: Tensor, error: float) -> tuple[Tensor, Tensor]:
    """Which channels stay, a multiple of `MULTIPLE`, and the weights of these."""
    count = weights.shape[1]
    allowed = error * torch.einsum("oi,ij,oj->", weights, covariance, weights)
    weights, inverse = (
        weights.clone(),
        torch.linalg.inv(covariance + _DAMPING * covariance.diag().mean() * torch.eye(count)),
    )
    stays = torch.ones(count, dtype=torch.bool)
    kept, left, lost = torch.arange(count), weights, 0.0
    for remaining in range(count - 1, MULTIPLE - 1, -1):
        costs = weights.square().sum(0) / inverse.diag()
        costs[~stays] = torch.inf
        worst = int(costs.argmin())
        lost += costs[worst].item()
        if lost > allowed:
            break
        row, own = inverse[worst].clone(), inverse[worst, worst].item()
        weights -= torch.outer(weights[:, worst], row) / own
        inverse -= torch.outer(row, row) / own
        weights[:, worst], inverse[worst, worst], stays[worst] = 0, 1, False
        if remaining % MULTIPLE == 0:
            kept = stays.nonzero()[:, 0]
            left = weights[:, kept].clone()
    return kept, left


def _convolution(before: SameConv, weight: Tensor) -> SameConv:
    """A convolution with fewer inputs, outputs or both."""
    outputs, inputs, kernel, _ = weight.shape
    groups = outputs if before.groups > 1 else 1
    after = SameConv(inputs * groups, outputs, kernel, before.stride, groups=groups, bias=False)
    after.weight.copy_(weight)
    return after


def _normalisation(before: nn.BatchNorm2d, kept: Tensor) -> nn.BatchNorm2d:
    after = nn.BatchNorm2d(len(kept), before.eps, before.momentum).train(before.training)
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(after, name).copy_(getattr(before, name)[kept])
    return after
