"""A last layer that takes from a descriptor what it shares with pictures that have nothing to do with it.

Some pictures are near to many others: rooms, faces, empty skies. Their wrong matches outrank the right ones of other
pictures, and no threshold serves both. The descriptor track's winner subtracted from each descriptor its nearest ones
of the training photographs (Yokoo, "Contrastive learning with large memory bank and negative embedding subtraction",
2021). Here the layer is part of the model's file, and photographs are weighted smoothly, so that two runtimes agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from ectype.descriptors import DescribedImage, DescriptorModel, ModelCard, describe_items
from ectype.descriptors.card import CARD_SUFFIX, read_card
from ectype.errors import InvalidDataError, ModelError
from ectype.images import ImageItem
from ectype_training.onnx_export import read_onnx, store_weights_as_float16, write_model
from ectype_training.photographs import tell_left_out

PHOTOGRAPHS = 4096
"""More of them gain little, and cost time: each picture is compared with all."""
TEMPERATURE = 0.05
"""Of the softmax over photographs."""
STRENGTH = 1.4
"""How much of the weighted mean is taken away; 0.9 up to version 12 of the bundled model."""
SAME, SHARPNESS = 0.42, 0.03
"""From about this similarity on, a photograph shows the same picture or much the same things, and counts no more; 0.55
up to version 12."""

BACKGROUND = "background.rows"
"""What the photographs' descriptors are called in a model's file, and in a student that has this layer."""
_STRENGTH, _SAME = "background.strength", "background.same"
_SEED = 2021


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """Descriptors of photographs, and how they are used.

    Attributes
    ----------
    rows : ndarray of float32, shape (k, d)
        Unit rows.
    strength : float
        How much of their weighted mean is taken away.
    same : float
        The similarity from which a photograph counts no more.
    """

    rows: NDArray[np.float32]
    strength: float = STRENGTH
    same: float = SAME

    def subtract(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the layer makes of unit rows (n, d): unit rows again."""
        return BackgroundLayer(self)(torch.from_numpy(vectors)).numpy()


class BackgroundLayer(nn.Module):
    """The layer in PyTorch, where a student learns through it: unit rows (n, d) to unit rows.

    Parameters
    ----------
    background : Background
        It learns nothing.
    """

    rows: Tensor
    strength: Tensor
    same: Tensor

    def __init__(self, background: Background) -> None:
        super().__init__()
        self.register_buffer("rows", torch.from_numpy(background.rows))
        self.register_buffer("strength", torch.tensor(background.strength))
        self.register_buffer("same", torch.tensor(background.same))

    @property
    def background(self) -> Background:
        """What it was made of, or was loaded since."""
        return Background(self.rows.cpu().numpy(), self.strength.item(), self.same.item())

    def forward(self, vectors: Tensor, shown: Tensor | None = None) -> Tensor:
        """Subtract the background.

        Parameters
        ----------
        vectors : Tensor of float32, shape (n, d)
        shown : Tensor of float32, shape (n, k, d), or None
            Descriptors of the unedited photographs that each picture shows, in training. The background may have them,
            and would take from a picture what it is to be found by: they don't count. No later picture's are there.
        """
        with torch.autocast(vectors.device.type, enabled=False):
            vectors = vectors.float()
            similarity = vectors @ self.rows.T
            logits = similarity / TEMPERATURE - functional.softplus((similarity - self.same) / SHARPNESS)
            counting = torch.ones_like(logits, dtype=torch.bool)
            if shown is not None:
                counting = (shown @ self.rows.T).amax(1) <= self.same
            weights = logits.where(counting, torch.finfo(logits.dtype).min).softmax(1) * counting
            return functional.normalize(vectors - self.strength * weights @ self.rows)


def describe_background(
    model: DescriptorModel, items: Sequence[ImageItem], photographs: int = PHOTOGRAPHS
) -> Background:
    """Describe some photographs, drawn at random but the same each time.

    Raises
    ------
    InvalidDataError
        Fewer photographs can be read.
    """
    drawn = [items[number] for number in np.random.default_rng(_SEED).permutation(len(items))]
    rows: list[NDArray[np.float32]] = []
    for result in describe_items(drawn, model):
        if isinstance(result, DescribedImage):
            rows.append(result.vector)
        else:
            tell_left_out(result.location, result.reason)
        if len(rows) == photographs:
            return Background(np.stack(rows))
    raise InvalidDataError(f"{len(rows)} readable photographs are too few for a background of {photographs}")


def background_of(model: onnx.ModelProto) -> Background | None:
    """The background of a model that has this layer."""
    found = {
        entry.name: numpy_helper.to_array(entry)
        for entry in model.graph.initializer
        if entry.name.startswith((BACKGROUND, _STRENGTH, _SAME))
    }
    rows = next((array for name, array in found.items() if name.startswith(BACKGROUND)), None)
    if rows is None:
        return None
    return Background(rows.astype(np.float32), float(found[_STRENGTH]), float(found[_SAME]))


def add_background(source: Path, background: Background, version: str, description: str, folder: Path) -> ModelCard:
    """Write a model with this layer behind its last one, and its card.

    Parameters
    ----------
    source : Path
        An ONNX file with its card beside it, exported by this package.
    background : Background
        As that model describes it.
    version, description : str
        For the card.
    folder : Path
        Made if it is not there.

    Raises
    ------
    ModelError
        The file can't be read, has such a layer already, or gives descriptors of another length.
    """
    card = read_card(source.with_suffix(CARD_SUFFIX))
    model = read_onnx(source)
    if background_of(model) is not None:
        raise ModelError(f"{source}: has a background already; give the model from before it")
    if card.dimension != background.rows.shape[1]:
        raise ModelError(f"{source}: gives {card.dimension} dimensions, the background {background.rows.shape[1]}")
    _append(model.graph, background)
    store_weights_as_float16(model)
    return write_model(model, replace(card, version=version, bfloat16=False, description=description), folder)


def _append(graph: onnx.GraphProto, background: Background) -> None:
    output, before = graph.output[0].name, "background.before"
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [before if name == output else name for name in names]
    constants = {
        BACKGROUND: background.rows,
        "background.sharpness": np.float32(1 / SHARPNESS),
        _SAME: np.float32(background.same),
        "background.temperature": np.float32(1 / TEMPERATURE),
        _STRENGTH: np.float32(background.strength),
    }
    graph.initializer.extend(numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items())
    steps = (
        ("Transpose", (BACKGROUND,), "transposed"),
        ("MatMul", (before, "transposed"), "similarity"),
        ("Sub", ("similarity", _SAME), "above"),
        ("Mul", ("above", "background.sharpness"), "sharpened"),
        ("Softplus", ("sharpened",), "penalty"),
        ("Mul", ("similarity", "background.temperature"), "heated"),
        ("Sub", ("heated", "penalty"), "logits"),
        ("Softmax", ("logits",), "shares"),
        ("Mul", ("shares", _STRENGTH), "weights"),
        ("MatMul", ("weights", BACKGROUND), "shared"),
        ("Sub", (before, "shared"), "rest"),
        ("ReduceL2", ("rest",), "length"),
    )
    inside = {result: f"background.{result}" for _, _, result in steps}
    for kind, inputs, result in steps:
        attributes = {"axes": [1], "keepdims": 1} if kind == "ReduceL2" else {}
        names = [inside.get(name, name) for name in inputs]
        graph.node.append(helper.make_node(kind, names, [inside[result]], **attributes))
    graph.node.append(helper.make_node("Div", [inside["rest"], inside["length"]], [output]))
