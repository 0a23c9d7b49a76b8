"""From a PyTorch descriptor to the ONNX file and card that Ectype loads."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from ectype.descriptors import ModelCard, OnnxModel
from ectype.descriptors.card import CARD_SUFFIX
from ectype.descriptors.model import MODEL_FILE, digest_of
from ectype.errors import ModelError

_SMALL = 1024  # parameters; biases stay as they are


MEAN, STD = 127.0, 128.0
"""How pixel values are normalised, inside the graph: as EfficientNet-Lite's own weights expect it."""

LOWEST_COSINE = 0.999
"""To what PyTorch says."""

HALVING = "halving.weight"
"""Of the convolutions that halve pictures."""

INSETS = "insets."
"""What the names in a graph begin with that belong to the head that finds insets."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a card says of a model for people."""

    name: str
    version: str
    licence: str
    description: str


def export(model: nn.Module, identity: Identity, samples: NDArray[np.uint8], folder: Path) -> ModelCard:
    """Write a descriptor model as ``model.onnx`` and ``model.json``.

    Parameters
    ----------
    model : nn.Module
        Takes uint8 images (n, s, s, 3), gives unit float32 rows (n, d).
    identity : Identity
    samples : ndarray of uint8, shape (m, s, s, 3)
        Photographs on which the file is compared with PyTorch.
    folder : Path
        Made if it is not there.

    Returns
    -------
    ModelCard
        bfloat16 is off in it; see `ectype_training.bfloat16`.

    Raises
    ------
    ModelError
        The file's descriptors are not PyTorch's: a cosine is below 0.999.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / MODEL_FILE
    size = samples.shape[1]
    with torch.inference_mode():
        expected = model.eval()(torch.from_numpy(samples)).numpy()
    digest = _write_onnx(model, size, path)
    card = ModelCard(
        name=identity.name,
        version=identity.version,
        sha256=digest,
        input_size=size,
        input_type="uint8",
        input_layout="nhwc",
        resize="square",
        mean=(MEAN, MEAN, MEAN),
        std=(STD, STD, STD),
        dimension=expected.shape[1],
        bfloat16=False,
        licence=identity.licence,
        description=identity.description,
    )
    lowest = float((OnnxModel(path, card).describe(list(samples)) * expected).sum(axis=1).min())
    print(f"lowest cosine to PyTorch: {lowest:.6f}")
    if not lowest >= LOWEST_COSINE:
        raise ModelError(f"{path}: the lowest cosine to PyTorch is {lowest:.4f}; {LOWEST_COSINE} is needed")
    path.with_suffix(CARD_SUFFIX).write_text(card.to_json(), "utf-8")
    return card


def read_onnx(path: Path) -> onnx.ModelProto:
    """Read an ONNX file.

    Raises
    ------
    ModelError
        It can't be read.
    """
    try:
        return onnx.load(path)
    except Exception as error:  # protobuf has no error class of its own to rely on
        raise ModelError(f"{path}: not a readable ONNX file: {error}") from error


def _write_onnx(model: nn.Module, size: int, path: Path) -> str:
    """Write the graph, with weights of half the size, and return the file's sha256; computing stays float32."""
    trace(model, (torch.zeros(1, size, size, 3, dtype=torch.uint8),), path, ["images"], ["descriptors"])
    graph = onnx.load(path)
    share_weights(graph)
    halve_by_convolutions(graph)
    store_weights_as_float16(graph)
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def trace(
    model: nn.Module, examples: tuple[torch.Tensor, ...], path: Path, inputs: list[str], outputs: list[str]
) -> None:
    """Write what a model computes of examples as an ONNX file, for any number of them at once."""
    with warnings.catch_warnings():
        # The newer exporter needs one more package, and gains nothing for a plain graph of convolutions.
        warnings.simplefilter("ignore", DeprecationWarning)
        # Paddings that follow from the input's size become constants, and so they should: the size is the card's.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)  # the runtimes fold what is left
        torch.onnx.export(
            model.eval(),
            examples,
            str(path),
            dynamo=False,
            input_names=inputs,
            output_names=outputs,
            dynamic_axes={name: {0: "n"} for name in (*inputs, *outputs)},
            opset_version=17,
        )


def write_model(model: onnx.ModelProto, card: ModelCard, folder: Path) -> ModelCard:
    """Write a checked model with its card into a folder, made if it is not there; returns the card with its digest."""
    onnx.checker.check_model(model, full_check=True)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / MODEL_FILE
    onnx.save(model, path)
    card = replace(card, sha256=digest_of(path))
    path.with_suffix(CARD_SUFFIX).write_text(card.to_json(), "utf-8")
    return card


def share_weights(model: onnx.ModelProto) -> None:
    """Have convolutions name the weights that they share, and each a bias of its own.

    PyTorch's exporter names copies of either, made by Identity nodes. OpenVINO adds a bias within its convolution only
    where nothing else uses it, and else loses time, and precision in bfloat16.
    """
    weights = {entry.name: entry for entry in model.graph.initializer}
    copies = {
        node.output[0]: node.input[0]
        for node in model.graph.node
        if node.op_type == "Identity" and node.input[0] in weights
    }
    nodes = [node for node in model.graph.node if node.output[0] not in copies]
    taken: set[str] = set()
    for node in nodes:
        node.input[:] = [copies.get(name, name) for name in node.input]
        if node.op_type == "Conv" and len(node.input) == 3:
            bias = node.input[2]
            if bias in taken:
                own = model.graph.initializer.add()
                own.CopyFrom(weights[bias])
                own.name = node.input[2] = f"{node.output[0]}.bias"
            taken.add(bias)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def halve_by_convolutions(model: onnx.ModelProto) -> None:
    """Have convolutions compute the means of four pixels: pooling takes OpenVINO 5% of the time, these hardly any."""
    halving = [node for node in model.graph.node if node.op_type == "AveragePool"]
    if halving:
        weights = np.multiply.outer(np.eye(3, dtype=np.float32), np.full((2, 2), 0.25, np.float32))
        model.graph.initializer.append(numpy_helper.from_array(weights, HALVING))
    for node in halving:
        inputs, outputs = [node.input[0], HALVING], list(node.output)
        node.CopyFrom(helper.make_node("Conv", inputs, outputs, name=node.name, kernel_shape=[2, 2], strides=[2, 2]))


def store_weights_as_float16(model: onnx.ModelProto) -> None:
    """Have large float32 weights stored as float16 and widened when the file is loaded."""
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < _SMALL:
            continue
        name = weight.name
        stored = f"{name}.float16"
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def widen_weights(model: onnx.ModelProto) -> None:
    """Have weights that are stored as float16 stored as float32: the opposite of `store_weights_as_float16`."""
    weights = {entry.name: entry for entry in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        weight = weights.get(node.input[0]) if node.op_type == "Cast" else None
        if weight is not None and weight.data_type == TensorProto.FLOAT16:
            wide = numpy_helper.to_array(weight).astype(np.float32)
            weight.CopyFrom(numpy_helper.from_array(wide, node.output[0]))
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
