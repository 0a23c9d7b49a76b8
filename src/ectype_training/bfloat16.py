"""Making a model compute the same in bfloat16 as in float32.

Processors that multiply in bfloat16 run a model about twice as fast. They round weights, biases, and what one layer
gives the next; sums stay in float32. Nearly all of the difference comes from two roundings, which can be part of the
model itself, for every runtime:

- weights and biases are stored as values that bfloat16 has;
- the first convolution's output is rounded to 8 bits, which bfloat16 has, too. In flat areas all of it would be rounded
  the same way otherwise, as much as the values are large, and what rounds the same way does not average out. So are the
  pixels of halved pictures, which are means of four.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from ectype.descriptors import ModelCard, OnnxModel
from ectype.descriptors.card import CARD_SUFFIX, read_card
from ectype.descriptors.model import MODEL_FILE
from ectype.descriptors.runtimes import computes_in_bfloat16
from ectype.errors import ModelError
from ectype_training.bfloat16_simulation import describe_simulated
from ectype_training.onnx_export import (
    HALVING,
    LOWEST_COSINE,
    MEAN,
    STD,
    read_onnx,
    store_weights_as_float16,
    widen_weights,
    write_model,
)

STEP = 1 / 32
"""Of the first convolution's output, which ReLU6 keeps from 0 to 6: 193 values of 8 bits."""

_LEVEL = 1 / STD
"""Of pixels: bfloat16 has all 256 of them."""

_HAIR = 1 - 2**-12
"""By so much less pixels are divided to be rounded: no mean of four is in the middle between two levels then, where
runtimes round either way."""


@dataclass(frozen=True, slots=True)
class _Rounding:
    """What values are divided by to become integers, counted from `zero`, and what these are multiplied by."""

    name: str
    divisor: float
    step: float
    zero: int

    def constants(self) -> dict[str, np.float32 | np.uint8]:
        """By their names in a graph."""
        name = self.name
        return {
            f"{name}.divisor": np.float32(self.divisor),
            f"{name}.step": np.float32(self.step),
            f"{name}.zero": np.uint8(self.zero),
        }


_STEM = _Rounding("stem", STEP, STEP, 0)
_PIXELS = _Rounding("pixels", _HAIR * _LEVEL, _LEVEL, round(MEAN))


def fit(source: Path, pictures: Sequence[NDArray[np.uint8]], folder: Path) -> ModelCard:
    """Write a model that computes the same in bfloat16, and its card.

    Parameters
    ----------
    source : Path
        An ONNX file with its card beside it, exported by this package.
    pictures : sequence of ndarray of uint8, shape (h, w, 3)
        To compare the two kinds of computing on.
    folder : Path
        Made if it is not there.

    Returns
    -------
    ModelCard
        It allows bfloat16 if that keeps a cosine of 0.999 to float32 on every picture; where the processor doesn't
        compute in it, it is simulated.

    Raises
    ------
    ModelError
        The file can't be read, or its first convolution is not followed by a ReLU6.
    """
    card = read_card(source.with_suffix(CARD_SUFFIX))
    before = OnnxModel(source, card).describe(pictures)
    model = read_onnx(source)
    widen_weights(model)
    round_to_bfloat16(model)
    store_weights_as_float16(model)
    card = write_model(model, replace(card, bfloat16=False), folder)
    path = folder / MODEL_FILE
    exact = OnnxModel(path, card).describe(pictures)
    print(f"mean cosine to the model before: {(before * exact).sum(axis=1).mean():.4f}")
    allowed = replace(card, bfloat16=True)
    if computes_in_bfloat16():
        how, inexact = "bfloat16", OnnxModel(path, allowed, "openvino").describe(pictures)
    else:
        how, inexact = "simulated bfloat16, which this processor lacks,", describe_simulated(model, card, pictures)
    lowest = (inexact * exact).sum(axis=1).min()
    print(f"lowest cosine of {how} to float32: {lowest:.6f}")
    if lowest >= LOWEST_COSINE:
        card = allowed
        path.with_suffix(CARD_SUFFIX).write_text(card.to_json(), "utf-8")
    return card


def round_to_bfloat16(model: onnx.ModelProto) -> None:
    """Have a model round its weights, and what its first convolution gives, to values that bfloat16 has.

    Raises
    ------
    ModelError
        The first convolution is not followed by a ReLU6.
    """
    used = {name for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul") for name in node.input}
    for weight in model.graph.initializer:
        if weight.name in used:
            weight.CopyFrom(numpy_helper.from_array(rounded(numpy_helper.to_array(weight)), weight.name))
    if not any(entry.name in _STEM.constants() for entry in model.graph.initializer):
        _round_to_8_bits(model.graph)


def rounded(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The nearest values that bfloat16 has, ties to even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    nearest = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return nearest.view(np.float32)


def _round_to_8_bits(graph: onnx.GraphProto) -> None:
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    halved = [node.output[0] for node in convolutions if node.input[1] == HALVING]
    first = next((node.input[1] for node in convolutions if node.input[1] != HALVING), None)
    stems = [node.output[0] for node in convolutions if node.input[1] == first]  # a scale each
    after = [[node.op_type for node in graph.node if stem in node.input] for stem in stems]
    if not stems or any(kinds != ["Clip"] for kinds in after):
        raise ModelError("a first convolution with a ReLU6 behind it was expected")
    roundings = dict.fromkeys(stems, _STEM) | dict.fromkeys(halved, _PIXELS)
    for rounding in dict.fromkeys(roundings.values()):
        constants = rounding.constants().items()
        graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in constants)
    nodes = []
    for node in graph.node:
        nodes.append(node)
        output = node.output[0]
        if output in roundings:
            divisor, step, zero = roundings[output].constants()
            exact, integers = f"{output}.exact", f"{output}.integers"
            node.output[0] = exact
            nodes.append(helper.make_node("QuantizeLinear", [exact, divisor, zero], [integers]))
            nodes.append(helper.make_node("DequantizeLinear", [integers, step, zero], [output]))
    del graph.node[:]
    graph.node.extend(nodes)
