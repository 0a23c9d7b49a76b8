"""A last layer that takes from a descriptor what it shares with pictures that have nothing to do with it.

Some pictures are near to many others: rooms, faces, empty skies. Their wrong matches outrank the right ones of other
pictures, and no threshold serves both. The descriptor track's winner subtracted from each descriptor its nearest ones
of the training photographs (Yokoo, "Contrastive learning with large memory bank and negative embedding subtraction",
2021). Here the layer is part of the model's file. Its rows are means of photographs that are alike (spherical k-means),
which say more than as many photographs, and are weighted smoothly, so that two runtimes agree.
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

ROWS = 4096
"""More of them gain little, and cost time: each picture is compared with all."""
TEMPERATURE = 0.04
"""Of the softmax over rows; 0.05 up to version 16 of the bundled model."""
STRENGTH = 0.9
"""How much of the weighted mean is taken away; 1.4 in versions 13 to 16 of the bundled model."""
SAME, SHARPNESS = 0.48, 0.03
"""From about this similarity on, a row shows the same picture or much the same things, and counts no more; 0.42 in
versions 13 to 16, 0.55 before."""

BACKGROUND = "background.rows"
"""What its rows are called in a model's file, and in a student that has this layer."""
_STRENGTH, _SAME, _TEMPERATURE = "background.strength", "background.same", "background.temperature"
_SEED = 2021
_PHOTOGRAPHS_A_ROW = 8  # are described, at most
_ROUNDS = 12  # of k-means


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """What photographs look like, and how that is used.

    Attributes
    ----------
    rows : ndarray of float32, shape (k, d)
        Unit rows: descriptors of photographs, or means of them.
    strength : float
        How much of their weighted mean is taken away.
    same : float
        The similarity from which a row counts no more.
    temperature : float
        Of the softmax over rows.
    """

    rows: NDArray[np.float32]
    strength: float = STRENGTH
    same: float = SAME
    temperature: float = TEMPERATURE

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
    temperature: Tensor

    def __init__(self, background: Background) -> None:
        super().__init__()
        self.register_buffer("rows", torch.from_numpy(background.rows))
        self.register_buffer("strength", torch.tensor(background.strength))
        self.register_buffer("same", torch.tensor(background.same))
        self.register_buffer("temperature", torch.tensor(background.temperature))

    @property
    def background(self) -> Background:
        """What it was made of, or was loaded since."""
        return Background(self.rows.cpu().numpy(), self.strength.item(), self.same.item(), self.temperature.item())

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
            logits = similarity / self.temperature - functional.softplus((similarity - self.same) / SHARPNESS)
            counting = torch.ones_like(logits, dtype=torch.bool)
            if shown is not None:
                counting = (shown @ self.rows.T).amax(1) <= self.same
            weights = logits.where(counting, torch.finfo(logits.dtype).min).softmax(1) * counting
            return functional.normalize(vectors - self.strength * weights @ self.rows)


def describe_background(model: DescriptorModel, items: Sequence[ImageItem], rows: int = ROWS) -> Background:
    """Describe photographs, drawn at random but the same each time, and take the means of those that are alike.

    Parameters
    ----------
    model : DescriptorModel
    items : sequence of ImageItem
        Of more than eight times as many as `rows`, only so many are described.
    rows : int

    Raises
    ------
    InvalidDataError
        Fewer photographs than `rows` can be read.
    """
    drawn = np.random.default_rng(_SEED).permutation(len(items))[: rows * _PHOTOGRAPHS_A_ROW]
    vectors: list[NDArray[np.float32]] = []
    for result in describe_items([items[number] for number in drawn], model):
        if isinstance(result, DescribedImage):
            vectors.append(result.vector)
        else:
            tell_left_out(result.location, result.reason)
    if len(vectors) < rows:
        raise InvalidDataError(f"{len(vectors)} readable photographs are too few for a background of {rows}")
    return Background(_means(np.stack(vectors), rows))


def _means(vectors: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Unit rows (count, d) around which unit rows (n, d) lie; the same in every run."""
    import faiss

    search = faiss.Kmeans(
        vectors.shape[1],
        count,
        niter=_ROUNDS,
        spherical=True,
        seed=_SEED,
        min_points_per_centroid=1,  # fewer than faiss expects, and it would warn
        max_points_per_centroid=len(vectors),  # all are learnt from
    )
    search.train(vectors)
    return np.asarray(search.centroids / np.linalg.norm(search.centroids, axis=1, keepdims=True), np.float32)


def background_of(model: onnx.ModelProto) -> Background | None:
    """The background of a model that has this layer."""
    found = {
        entry.name: numpy_helper.to_array(entry)
        for entry in model.graph.initializer
        if entry.name.startswith((BACKGROUND, _STRENGTH, _SAME, _TEMPERATURE))
    }
    rows = next((array for name, array in found.items() if name.startswith(BACKGROUND)), None)
    if rows is None:
        return None
    return Background(
        rows.astype(np.float32), float(found[_STRENGTH]), float(found[_SAME]), 1 / float(found[_TEMPERATURE])
    )


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
        _TEMPERATURE: np.float32(1 / background.temperature),
        _STRENGTH: np.float32(background.strength),
    }
    graph.initializer.extend(numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items())
    steps = (
        ("Transpose", (BACKGROUND,), "transposed"),
        ("MatMul", (before, "transposed"), "similarity"),
        ("Sub", ("similarity", _SAME), "above"),
        ("Mul", ("above", "background.sharpness"), "sharpened"),
        ("Softplus", ("sharpened",), "penalty"),
        ("Mul", ("similarity", _TEMPERATURE), "heated"),
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
