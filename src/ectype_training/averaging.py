"""One model of two: the mean of their weights."""

from __future__ import annotations

from pathlib import Path

import torch

from ectype.errors import InvalidDataError, ModelError
from ectype_training.background import BackgroundLayer
from ectype_training.student import Student


def average(first: Path, second: Path, share: float = 0.5) -> Student:
    """A student whose weights lie between those of two models.

    Two runs of which one began from the other lie in one valley of the loss, and their middle generalises better than
    either (Wortsman et al., Model soups, ICML 2022).

    Parameters
    ----------
    first, second : Path
        ONNX files of one architecture; if they have a background, the same one.
    share : float
        Of the second, from 0 to 1.

    Raises
    ------
    InvalidDataError
        The share is out of range.
    ModelError
        A file can't be read, the two are not of one architecture, or their backgrounds differ.
    """
    if not 0 <= share <= 1:
        raise InvalidDataError(f"the share of the second model is from 0 to 1, not {share}")
    student, other = Student.from_onnx(first), Student.from_onnx(second)
    shapes = [(model.project.weight.shape, model.backbone.widths) for model in (student, other)]
    if shapes[0] != shapes[1]:
        raise ModelError(f"{second}: is not of the architecture of {first}; only such models have a middle")
    if not _same(student.background, other.background):
        raise ModelError(f"{second}: has not the background of {first}; give models from before it, or with the same")
    theirs = other.state_dict()
    with torch.no_grad():
        for name, weights in student.state_dict().items():
            if weights.is_floating_point():
                weights.lerp_(theirs[name], share)
    return student.eval()


def _same(one: BackgroundLayer | None, other: BackgroundLayer | None) -> bool:
    if one is None or other is None:
        return one is other
    return all(torch.equal(ours, theirs) for ours, theirs in zip(one.buffers(), other.buffers(), strict=True))
