"""Telling where each place of an edited picture comes from, which recorded geometry knows.

Every place of the student's feature map must say what the start says of the same place of the unedited photograph, and
tell it from other places of this and other photographs (after CopyNCE, ICCV 2025; here what is said of unedited ones
stays).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ectype.errors import InvalidDataError
from ectype.images import ImageItem
from ectype.storage import replacing
from ectype_training.efficientnet_lite import FEATURES
from ectype_training.photographs import squares
from ectype_training.student import Student

DIMENSION = 128
TEMPERATURE = 0.1
NEAR = 1.5
"""So many places around the own one, in places, are not held against it."""

_SAMPLE = 1024  # photographs that the principal components are taken of


@dataclass(frozen=True, slots=True, eq=False)
class UneditedPlaces:
    """What a student says of the places of unedited photographs.

    Attributes
    ----------
    weight : ndarray of float32, shape (DIMENSION, features)
    bias : ndarray of float32, shape (DIMENSION,)
        From features to whitened principal components.
    rows : ndarray of float16, shape (photographs, places a side, places a side, DIMENSION)
        Unit vectors.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    rows: NDArray[np.float16]


class PlacesLoss(nn.Module):
    """How badly edited pictures say where their places come from.

    Parameters
    ----------
    places : UneditedPlaces
        Of all photographs. The layer from features begins as theirs, and learns.
    """

    def __init__(self, places: UneditedPlaces) -> None:
        super().__init__()
        self.project = nn.Linear(FEATURES, DIMENSION)
        with torch.no_grad():
            self.project.weight.copy_(torch.from_numpy(places.weight))
            self.project.bias.copy_(torch.from_numpy(places.bias))
        self._rows = torch.from_numpy(places.rows)

    def forward(self, features: Tensor, numbers: Tensor, sources: Tensor) -> Tensor:
        """The mean cross entropy of the own place among all of the batch; 0 where no place comes from a photograph.

        Parameters
        ----------
        features : Tensor, shape (n, features, side, side)
            Of the edited pictures.
        numbers : Tensor of int64, shape (n,)
            Photographs.
        sources : Tensor of float32, shape (n, side, side, 2)
            Where the middle of each place comes from: x and y, in parts of the unedited photograph's sides; -1 for
            places that show nothing of it, which don't count.
        """
        unedited = self._rows[numbers.cpu()].to(features.device).float()
        side = unedited.shape[1]
        counting = sources[..., 0] >= 0
        if not counting.any():
            return features.new_zeros(())
        own_maps = functional.grid_sample(
            unedited.permute(0, 3, 1, 2), 2 * sources - 1, padding_mode="border", align_corners=False
        )
        own = functional.normalize(own_maps.permute(0, 2, 3, 1)[counting])
        said = functional.normalize(self.project(features.permute(0, 2, 3, 1)[counting].float()))
        middles = (torch.arange(side, device=features.device) + 0.5) / side
        y, x = torch.meshgrid(middles, middles, indexing="ij")
        offsets = (sources[counting][:, None] - torch.stack([x, y], 2).reshape(1, -1, 2)) * side
        near = (offsets.square().sum(2) < NEAR**2).repeat(1, len(numbers))
        owner = numbers[:, None, None].expand(counting.shape)[counting]
        same = (owner[:, None] == numbers[None]).repeat_interleave(side * side, 1)
        others = (said @ unedited.reshape(-1, DIMENSION).T / TEMPERATURE).masked_fill(near & same, -torch.inf)
        found = (said * own).sum(1, keepdim=True) / TEMPERATURE
        return (torch.cat([found, others], 1).logsumexp(1) - found[:, 0]).mean()


def describe_places(
    student: Student, items: Sequence[ImageItem], size: int, bfloat16: bool, out: Path
) -> UneditedPlaces:
    """Describe the places of unedited photographs, or read what an earlier call wrote.

    Parameters
    ----------
    student : Student
    items : sequence of ImageItem
        All must be readable.
    size : int
        Pixels a side.
    bfloat16 : bool
        Multiply in it.
    out : Path
        An ``.npz``.

    Raises
    ------
    InvalidDataError
        The file that is there can't be read.
    """
    if out.exists():
        return _read(out)
    device = next(student.parameters()).device

    def features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            first, *_ = student.maps(torch.from_numpy(images).to(device))
        return first.float().permute(0, 2, 3, 1).cpu().numpy()

    chosen = np.random.default_rng(0).choice(len(items), min(_SAMPLE, len(items)), replace=False)
    seen = [features(images) for images in squares([items[number] for number in chosen], size)]
    weight, bias = _whitening(np.concatenate(seen).reshape(-1, FEATURES))
    rows, described = [], 0
    for number, images in enumerate(squares(items, size), 1):
        said = features(images) @ weight.T + bias
        rows.append((said / np.linalg.norm(said, axis=3, keepdims=True).clip(1e-6)).astype(np.float16))
        described += len(images)
        if number % 100 == 0:
            print(f"places of {described} of {len(items)} photographs described", flush=True)
    places = UneditedPlaces(weight, bias, np.concatenate(rows))
    with replacing(out) as temporary:
        np.savez(temporary, weight=places.weight, bias=places.bias, rows=places.rows)
    return places


def _whitening(features: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    mean = features.mean(axis=0)
    values, axes = np.linalg.eigh(np.cov(features - mean, rowvar=False))
    kept = axes[:, ::-1][:, :DIMENSION] / np.sqrt(values[::-1][:DIMENSION].clip(1e-6))
    return kept.T.astype(np.float32), (-mean @ kept).astype(np.float32)


def _read(path: Path) -> UneditedPlaces:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays: dict[str, NDArray[Any]] = dict(file)
        return UneditedPlaces(arrays["weight"], arrays["bias"], arrays["rows"])
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise InvalidDataError(f"{path}: can't be read: {error}; delete it, and it is made again") from error
