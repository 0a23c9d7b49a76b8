"""A second head on a trained backbone, that says where a picture lies inside another.

Edges of what was pasted are seen early in a network, in fine maps; what is a picture and what a window, later and in
coarse ones. The head takes one map of each. The backbone learns nothing, so the descriptors stay what they are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import compose, helper
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from ectype.descriptors import ModelCard
from ectype.descriptors.card import CARD_SUFFIX, read_card
from ectype.descriptors.model import MODEL_FILE
from ectype.descriptors.runtimes import computes_in_bfloat16, open_runtime
from ectype.errors import InvalidDataError, ModelError
from ectype.images import ImageItem
from ectype_training.efficientnet_lite import COARSE_BLOCK, FINE_BLOCK
from ectype_training.inset_samples import InsetSamples
from ectype_training.onnx_export import INSETS, read_onnx, trace, write_model
from ectype_training.student import Student, output_of_block

FINE_STRIDE = 8
"""Pixels a side for each place that is spoken of."""
_FINE, _COARSE = 40, 112  # channels of the maps
_CHANNELS, _KERNEL = 24, 5  # of the head's own blocks
_BATCH, _RATE = 64, 4e-3
_WARM_UP = 0.1  # of the steps
_CHECKED = 0.05  # of the samples are measured on and not learnt from
_APART = 0.02  # the file's likelihoods may be from PyTorch's, on average: it may round what PyTorch does not


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.filter = nn.Conv2d(_CHANNELS, _CHANNELS, _KERNEL, padding=_KERNEL // 2, groups=_CHANNELS, bias=False)
        self.norm = nn.BatchNorm2d(_CHANNELS)
        self.mix = nn.Conv2d(_CHANNELS, _CHANNELS, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mix(functional.relu(self.norm(self.filter(x))))


class InsetHead(nn.Module):
    """Feature maps (n, 40, k, k) and (n, 112, ceil(k / 2), ceil(k / 2)) to logits (n, k, k)."""

    def __init__(self) -> None:
        super().__init__()
        self.from_fine, self.from_coarse = nn.Conv2d(_FINE, _CHANNELS, 1), nn.Conv2d(_COARSE, _CHANNELS, 1)
        self.coarse = nn.Sequential(_Block(), _Block())
        self.fine = nn.Sequential(_Block(), _Block(), _Block())
        self.last = nn.Conv2d(_CHANNELS, 1, 1)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        side = fine.shape[-1]
        wide = functional.interpolate(self.coarse(self.from_coarse(coarse)), scale_factor=2.0)[..., :side, :side]
        return self.last(functional.relu(self.fine(self.from_fine(fine) + wide)))[:, 0]


class _Likelihoods(nn.Module):
    """A head as it is exported."""

    def __init__(self, head: InsetHead) -> None:
        super().__init__()
        self.head = head

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        return self.head(fine, coarse).sigmoid()


class InsetScores(NamedTuple):
    """How well a head finds insets that it has not learnt from.

    Attributes
    ----------
    overlap : float
        Places that it finds rightly, of those that it finds or should find (intersection over union).
    found, false : float
        Shares of the pictures with an inset whose own overlap is above 0.7, and of those without one in which the head
        sees one of at least 3% of the picture.
    """

    overlap: float
    found: float
    false: float


class _Maps(NamedTuple):
    """What samples look like to a head."""

    fine: Tensor
    coarse: Tensor
    covered: Tensor

    def rows(self, numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fine, coarse = (
            maps[numbers].float().contiguous(memory_format=torch.channels_last) for maps in (self.fine, self.coarse)
        )
        return fine, coarse, self.covered[numbers]


def train_head(
    student: Student, items: Sequence[ImageItem], size: int, count: int, epochs: int, seed: int = 2021
) -> InsetHead:
    """Train a head on the maps of a student, which learns nothing.

    Parameters
    ----------
    student : Student
        In `eval` mode.
    items : sequence of ImageItem
        Photographs that can be decoded.
    size : int
        Pixels a side that the student looks at.
    count : int
        Samples; one in twenty is measured on.
    epochs : int
    seed : int

    Raises
    ------
    InvalidDataError
        There are no photographs, or less than twenty samples.
    """
    if not items or count < 1 / _CHECKED:
        raise InvalidDataError(f"{len(items)} readable photographs and {count} samples are too few to learn from")
    torch.manual_seed(seed)
    samples = InsetSamples(items, size, -(-size // FINE_STRIDE), count, seed)
    return _learn(_look(student, samples, count), epochs)


def _learn(maps: _Maps, epochs: int) -> InsetHead:
    count = len(maps.covered)
    head = InsetHead().to(memory_format=torch.channels_last)
    learnt = torch.arange(int(count * (1 - _CHECKED)))
    steps = epochs * -(-len(learnt) // _BATCH)
    optimiser = torch.optim.AdamW(head.parameters(), _RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, steps, pct_start=_WARM_UP)
    for epoch in range(epochs):
        head.train()
        for numbers in learnt[torch.randperm(len(learnt))].split(_BATCH):
            fine, coarse, covered = maps.rows(numbers)
            loss = functional.binary_cross_entropy_with_logits(head(fine, coarse), covered)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
        print(f"epoch {epoch + 1} of {epochs}: {_measure(head, maps, range(len(learnt), count))}", flush=True)
    return head.eval()


def _look(student: Student, samples: InsetSamples, count: int) -> _Maps:
    found: list[_Maps] = []
    loader = DataLoader(samples, batch_size=_BATCH, num_workers=1, prefetch_factor=6, multiprocessing_context="spawn")
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=computes_in_bfloat16()):
        for number, batch in enumerate(loader, 1):
            fine, coarse = student.backbone.early(student.looked_at(batch.picture)[0])
            found.append(_Maps(fine.half(), coarse.half(), batch.covered))
            if number % 100 == 0:
                print(f"{number * _BATCH} of {count} samples looked at", flush=True)
    return _Maps(*(torch.cat(part).clone() for part in zip(*found, strict=True)))


@torch.no_grad()
def _measure(head: InsetHead, maps: _Maps, numbers: range) -> InsetScores:
    head.eval()
    seen, right = [], []
    for part in torch.tensor(numbers).split(_BATCH):
        fine, coarse, covered = maps.rows(part)
        seen.append(head(fine, coarse) > 0)
        right.append(covered > 0.5)
    said, true = torch.cat(seen).flatten(1), torch.cat(right).flatten(1)
    both, either, inset = (said & true).sum(1), (said | true).sum(1), true.any(1)
    found = (both > 0.7 * either)[inset].float().mean()
    false = (said.float().mean(1) > 0.03)[~inset].float().mean()
    return InsetScores(*(round(value.item(), 3) for value in (both.sum() / either.sum(), found, false)))


def add_head(source: Path, head: InsetHead, pictures: NDArray[np.uint8], version: str, folder: Path) -> ModelCard:
    """Write a model with a head as its second output, and its card.

    Parameters
    ----------
    source : Path
        An ONNX file with its card beside it, exported by this package.
    head : InsetHead
    pictures : ndarray of uint8, shape (n, s, s, 3)
        On which the file is compared with PyTorch.
    version : str
    folder : Path
        Made if it is not there.

    Raises
    ------
    ModelError
        The file can't be read, has such a head already, or does not say what PyTorch does.
    """
    card = read_card(source.with_suffix(CARD_SUFFIX))
    model = read_onnx(source)
    if len(model.graph.output) > 1:
        raise ModelError(f"{source}: finds insets already; give the model from before it")
    student = Student.from_onnx(source).eval()
    with torch.no_grad():
        maps = student.backbone.early(student.looked_at(torch.from_numpy(pictures))[0])
        expected = _Likelihoods(head)(*maps).numpy()
    card = write_model(_merged(model, head, maps), replace(card, version=version, insets=True), folder)
    runtime = open_runtime(folder / MODEL_FILE, pictures[:1], "onnxruntime")
    apart = float(np.abs(runtime.run(pictures)[1] - expected).mean())
    if not apart <= _APART:
        raise ModelError(f"{folder / MODEL_FILE}: likelihoods are {apart:.3f} from PyTorch's on average")
    return card


def _merged(model: onnx.ModelProto, head: InsetHead, maps: tuple[Tensor, Tensor]) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / MODEL_FILE
        trace(_Likelihoods(head), tuple(x[:1] for x in maps), path, ["fine", "coarse"], ["likelihoods"])
        following = compose.add_prefix(onnx.load(path), INSETS)
    following.ir_version = model.ir_version
    ends = [output_of_block(model, block) for block in (FINE_BLOCK, COARSE_BLOCK)]
    given = list(zip(ends, (entry.name for entry in following.graph.input), strict=True))
    for name in ends:  # what two graphs are joined by must be an output, here only until they are
        model.graph.output.append(helper.make_empty_tensor_value_info(name))
    outputs = [model.graph.output[0].name, following.graph.output[0].name]
    return compose.merge_models(model, following, given, outputs=outputs)
