"""What the student is told: be what the targets say, be like your copies, be unlike all else."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Distillation:
    """How far photographs are from where they should be; scalars.

    Attributes
    ----------
    contrast : Tensor
        Cross entropy of the own target among all.
    distance : Tensor
        One minus the mean cosine to the own target.
    separation : Tensor
        How far own targets lie below the threshold and all others together above it. The threshold is the middle
        between the two, over the batch.
    spread : Tensor
        Minus the mean log of the distance to the nearest target of a photograph that is not in the picture.
    """

    contrast: Tensor
    distance: Tensor
    separation: Tensor
    spread: Tensor


def distillation(
    descriptors: Tensor, targets: Tensor, numbers: Tensor, present: Tensor, temperature: float
) -> Distillation:
    """Compare edited photographs with the targets of the unedited ones.

    A softmax over the targets of the whole training set (InfoNCE, van den Oord et al., 2018, with the set in place of
    the batch: one matrix product for thousands of negatives), the cosine to the own one, and one threshold that all
    pictures share (after Zhou et al., UniTSFace, NeurIPS 2023): the softmax orders the photographs for each picture by
    itself, while micro-average precision compares scores of different pictures. And the nearest other target is pushed
    away, however far it is already (as the entropy term of SSCD, Pizzi et al., CVPR 2022).

    Parameters
    ----------
    descriptors : Tensor of float32, shape (n, d)
        Unit rows, of the edited photographs.
    targets : Tensor of float32, shape (m, d)
        Unit rows, of all unedited ones.
    numbers : Tensor of int64, shape (n,)
        The target's row of each.
    present : Tensor of int64, shape (n, k)
        Rows of other photographs that the edits brought into the picture, -1 for none: a picture in a picture is
        both, so these are not held against it.
    temperature : float

    Returns
    -------
    Distillation
    """
    similarity = descriptors @ targets.T
    own = similarity.gather(1, numbers[:, None])
    logits = similarity / temperature
    row, column = (present >= 0).nonzero(as_tuple=True)
    other = present[row, column]
    kept = other != numbers[row]
    logits = logits.index_put((row[kept], other[kept]), logits.new_tensor(-torch.inf))
    own_logits = own[:, 0] / temperature
    rest = logits.scatter(1, numbers[:, None], -torch.inf)
    others = rest.logsumexp(1)
    nearest = (2 - 2 * temperature * rest.amax(1)).clamp(1e-6, 4).sqrt()
    threshold = (own_logits + others).detach().mean() / 2
    separation = functional.softplus(threshold - own_logits) + functional.softplus(others - threshold)
    entropy = functional.softplus(others - own_logits)
    return Distillation(entropy.mean(), 1 - own.mean(), separation.mean(), -nearest.log().mean())


def contrast(first: Tensor, second: Tensor, numbers: Tensor, temperature: float) -> Tensor:
    """InfoNCE between two edits of each photograph of a batch (NT-Xent, Chen et al., ICML 2020).

    Parameters
    ----------
    first, second : Tensor of float32, shape (n, d)
        Unit rows.
    numbers : Tensor of int64, shape (n,)
        Photographs; where one is there twice, its rows are not held against each other.
    temperature : float
    """
    rows = torch.cat([first, second])
    owner = torch.cat([numbers, numbers])
    count = len(first)
    partner = torch.arange(2 * count, device=rows.device).roll(count)
    excluded = owner[:, None] == owner[None, :]
    excluded[torch.arange(2 * count, device=rows.device), partner] = False
    return functional.cross_entropy((rows @ rows.T / temperature).masked_fill(excluded, -torch.inf), partner)


def koleo(descriptors: Tensor) -> Tensor:
    """Minus the mean log of the distance to the nearest row (Kozachenko-Leonenko; Sablayrolles et al., ICLR 2019)."""
    with torch.no_grad():
        similarity = descriptors @ descriptors.T
        nearest = similarity.fill_diagonal_(-2).argmax(1)
    return -(descriptors - descriptors[nearest]).norm(dim=1).clamp(min=1e-6).log().mean()
