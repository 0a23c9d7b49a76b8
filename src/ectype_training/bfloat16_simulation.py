"""What a model says in bfloat16, on processors that don't compute in it."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, shape_inference

from ectype.descriptors import ModelCard, OnnxModel
from ectype.descriptors.model import MODEL_FILE
from ectype_training.onnx_export import widen_weights, write_model

_PRODUCTS = ("Conv", "Gemm", "MatMul")
_COMPUTED_WITHIN = ("Clip", "Add", "QuantizeLinear")
"""What a runtime computes along with the convolution before it, before anything is rounded."""


def describe_simulated(
    model: onnx.ModelProto, card: ModelCard, pictures: Sequence[NDArray[np.uint8]]
) -> NDArray[np.float32]:
    """Describe pictures as a processor that multiplies in bfloat16 would, near enough to judge a model by.

    Parameters
    ----------
    model : ModelProto
        Unchanged. Its weights are not rounded: let them be values that bfloat16 has.
    card : ModelCard
    pictures : sequence of ndarray of uint8, shape (h, w, 3)

    Returns
    -------
    ndarray of float32, shape (n, dimension)
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written = write_model(with_rounded_values(model), card, folder)
        return OnnxModel(folder / MODEL_FILE, written, "onnxruntime").describe(pictures)


def with_rounded_values(model: onnx.ModelProto) -> onnx.ModelProto:
    """A model that rounds what each layer gives the next to bfloat16, up to its last product.

    As OpenVINO does with the precision hint ``bf16``: sums stay in float32, and so does all behind the last product.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    widen_weights(changed)
    changed = shape_inference.infer_shapes(changed)
    graph = changed.graph
    floats = {value.name for value in graph.value_info if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    readers: defaultdict[str, list[str]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            readers[name].append(node.op_type)
    last = max((number for number, node in enumerate(graph.node) if node.op_type in _PRODUCTS), default=-1)
    nodes = []
    for number, node in enumerate(graph.node):
        nodes.append(node)
        output = node.output[0]
        within = node.op_type == "Conv" and len(readers[output]) == 1 and readers[output][0] in _COMPUTED_WITHIN
        if number > last or output not in floats or node.op_type in ("Constant", "DequantizeLinear") or within:
            continue
        unrounded, rounded = f"{output}.unrounded", f"{output}.bfloat16"
        node.output[0] = unrounded
        nodes.append(helper.make_node("Cast", [unrounded], [rounded], to=TensorProto.BFLOAT16))
        nodes.append(helper.make_node("Cast", [rounded], [output], to=TensorProto.FLOAT))
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    return changed
