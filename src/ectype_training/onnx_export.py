"""From a PyTorch descriptor to the ONNX file and card that Ectype loads."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ectype.descriptors import ModelCard, OnnxModel
from ectype_training.descriptor_head import Descriptor

_SMALL = 1024  # parameters; biases stay as they are


def export(descriptor: Descriptor, size: int, path: Path) -> str:
    """Write a descriptor for uint8 images (n, size, size, 3) as ONNX; returns the file's sha256.

    Weights are stored as float16 and widened when the file is loaded: half the size, and computing stays float32.
    """
    example = torch.zeros(1, size, size, 3, dtype=torch.uint8)
    torch.onnx.export(
        descriptor.eval(),
        (example,),
        str(path),
        dynamo=False,
        input_names=["images"],
        output_names=["descriptors"],
        dynamic_axes={"images": {0: "n"}, "descriptors": {0: "n"}},
        opset_version=17,
    )
    model = onnx.load(path)
    _store_weights_as_float16(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _store_weights_as_float16(model: onnx.ModelProto) -> None:
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


def agreement(descriptor: Descriptor, path: Path, card: ModelCard, images: NDArray[np.uint8]) -> float:
    """The lowest cosine between PyTorch's and Ectype's descriptors of images (n, size, size, 3)."""
    with torch.inference_mode():
        expected = descriptor.eval()(torch.from_numpy(images)).numpy()
    found = OnnxModel(path, card).describe(list(images))
    return float((expected * found).sum(axis=1).min())
