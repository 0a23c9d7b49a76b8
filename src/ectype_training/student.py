"""The network that is trained: EfficientNet-Lite0, GeM pooling, a linear layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ectype.descriptors import ModelCard
from ectype.descriptors.model import MODEL_FILE
from ectype.descriptors.preprocessing import square
from ectype.errors import ModelError
from ectype_training.background import BACKGROUND, Background, BackgroundLayer, add_background, background_of
from ectype_training.config import Config
from ectype_training.efficientnet_lite import (
    FEATURES,
    LAYERS,
    WIDTHS,
    EfficientNetLite0,
    SameConv,
    convolutions,
    widths_of,
)
from ectype_training.onnx_export import HALVING, INSETS, MEAN, STD, Identity, export, read_onnx
from ectype_training.pooling import GeM
from ectype_training.run import load_checkpoint, of_this_version, read_identity


class Student(nn.Module):
    """uint8 images (n, s, s, 3) to unit float32 descriptors (n, dimension).

    Parameters
    ----------
    dimension : int
    scales : int
        At how many sizes pictures are looked at: as they are, then with sides halved each time. One linear layer weighs
        what all of them say.
    widths : sequence of int
        Hidden channels of the backbone's blocks.

    Attributes
    ----------
    background : BackgroundLayer or None
        Behind the linear layer, where the model that it came from has one. It learns nothing; what lies before it
        learns to be good with it.
    """

    def __init__(self, dimension: int = 256, scales: int = 1, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.scales = scales
        self.backbone = EfficientNetLite0(widths)
        self.pooling = GeM(3.0)
        self.project = nn.Linear(scales * FEATURES, dimension)
        self.background: BackgroundLayer | None = None

    def forward(self, images: Tensor, shown: Tensor | None = None) -> Tensor:
        """Describe pictures; `shown` is for the background (`BackgroundLayer`), in training."""
        return self.describe(self.maps(images), shown)

    def maps(self, images: Tensor) -> list[Tensor]:
        """Feature maps (n, features, side, side), one for each scale."""
        return [self.backbone(x) for x in self.looked_at(images)]

    def looked_at(self, images: Tensor) -> list[Tensor]:
        """What the backbone is given of pictures: normalised (n, 3, s, s), one for each scale."""
        x = (images.permute(0, 3, 1, 2).float() - MEAN) / STD
        sizes = [x.contiguous(memory_format=torch.channels_last)]
        while len(sizes) < self.scales:
            sizes.append(functional.avg_pool2d(sizes[-1], 2))
        return sizes

    def describe(self, maps: list[Tensor], shown: Tensor | None = None) -> Tensor:
        """Unit descriptors of feature maps."""
        features = [self.pooling(seen.float()) for seen in maps]
        vectors = functional.normalize(self.project(torch.cat(features, 1)))
        return vectors if self.background is None else self.background(vectors, shown)

    @classmethod
    def from_onnx(cls, path: Path) -> Student:
        """The student that an exported model was.

        Its convolutions have their normalisations folded in; these come back as ones that change nothing, until
        `renormalise` has seen what flows through them.

        Raises
        ------
        ModelError
            The file can't be read, or is of another architecture.
        """
        model = read_onnx(path)
        layers, arrays = _layers(model.graph)
        last = arrays.get(layers[-1].input[1]) if layers else None
        dimension, features = (1, FEATURES) if last is None or last.ndim != 2 else last.shape
        if len(layers) != LAYERS + 1:
            raise ModelError(
                f"{path}: {len(layers)} layers, where EfficientNet-Lite0 and a linear one have {LAYERS + 1}"
            )
        filters = [arrays.get(layer.input[1]) for layer in layers[1:-2:3]]  # a block's before its last one
        student = cls(dimension, max(1, features // FEATURES), [0 if rows is None else len(rows) for rows in filters])
        pairs = list(convolutions(student.backbone))
        for node, (convolution, norm) in zip(layers, pairs, strict=False):
            weight, bias = _weights(path, node, arrays, tuple(convolution.weight.shape))
            with torch.no_grad():
                convolution.weight.copy_(weight)
                norm.running_mean.zero_()
                norm.running_var.fill_(1 - norm.eps)
                norm.weight.fill_(1)
                norm.bias.copy_(bias)
        weight, bias = _weights(path, layers[-1], arrays, tuple(student.project.weight.shape))
        with torch.no_grad():
            student.project.weight.copy_(weight)
            student.project.bias.copy_(bias)
        background = background_of(model)
        if background is not None:
            student.background = BackgroundLayer(background)
        return student

    def look_at_more(self, scales: int) -> None:
        """Have a student of one scale look at several; each begins with half the weight of the one before."""
        shares = 0.5 ** torch.arange(scales)
        weight, bias = self.project.weight.detach(), self.project.bias.detach()
        self.scales, self.project = scales, nn.Linear(scales * FEATURES, len(bias))
        with torch.no_grad():
            self.project.weight.copy_(torch.cat([share * weight for share in shares / shares.sum()], 1))
            self.project.bias.copy_(bias)

    def renormalise(self, batches: Iterable[Tensor]) -> None:
        """Give every normalisation the mean and variance of what flows through it, without changing what comes out."""
        sums: dict[nn.BatchNorm2d, list[Tensor]] = {}

        def record(norm: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
            x = inputs[0]
            sums.setdefault(norm, []).append(torch.stack([x.mean((0, 2, 3)), x.square().mean((0, 2, 3))]))

        norms = [norm for _, norm in convolutions(self.backbone)]
        hooks = [norm.register_forward_pre_hook(record) for norm in norms]
        self.eval()
        with torch.no_grad():
            for images in batches:
                self(images)
            for hook in hooks:
                hook.remove()
            for norm, rows in sums.items():
                mean, square = torch.stack(rows).mean(0)
                variance = (square - mean.square()).clamp(min=1e-6)
                scale = norm.weight / (norm.running_var + norm.eps).sqrt()
                shift = norm.bias - norm.running_mean * scale
                norm.weight.copy_(scale * (variance + norm.eps).sqrt())
                norm.bias.copy_(shift + scale * mean)
                norm.running_mean.copy_(mean)
                norm.running_var.copy_(variance)


def export_student(student: Student, identity: Identity, samples: NDArray[np.uint8], folder: Path) -> ModelCard:
    """Write a student as `ectype_training.onnx_export.export` does; its background, if it has one, is the last layer.

    Raises
    ------
    ModelError
        The file's descriptors are not the student's.
    """
    background, student.background = student.background, None
    try:
        card = export(student, identity, samples, folder)
    finally:
        student.background = background
    if background is None:
        return card
    return add_background(folder / MODEL_FILE, background.background, identity.version, identity.description, folder)


def _layers(graph: onnx.GraphProto) -> tuple[list[onnx.NodeProto], dict[str, NDArray[np.float32]]]:
    """A model's layers with learnt weights, each once, however many scales go through it, and all weights by name."""
    arrays = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    arrays |= {
        node.output[0]: arrays[node.input[0]] for node in graph.node if node.input[:1] and node.input[0] in arrays
    }
    layers: dict[str, onnx.NodeProto] = {}
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm") and not node.input[1].startswith((HALVING, INSETS)):
            layers.setdefault(node.input[1], node)
    return list(layers.values()), arrays


def output_of_block(model: onnx.ModelProto, block: int) -> str:
    """What a student's file calls the map that a residual block gives of the largest scale.

    Raises
    ------
    ModelError
        The file is of another architecture.
    """
    layers, _ = _layers(model.graph)
    if len(layers) == LAYERS + 1:
        projected = layers[3 * block + 2].output[0]
        for node in model.graph.node:
            if node.op_type == "Add" and projected in node.input:
                return str(node.output[0])
    raise ModelError(f"not an EfficientNet-Lite0 with a residual block {block}")


def _weights(
    path: Path, node: onnx.NodeProto, arrays: dict[str, NDArray[np.float32]], shape: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    found = [arrays.get(name) for name in node.input[1:3]]
    if len(found) != 2 or found[0] is None or found[1] is None or found[0].shape != shape:
        seen = None if not found or found[0] is None else found[0].shape
        raise ModelError(f"{path}: the layer {node.name} has weights {seen}, where {shape} was expected")
    weight, bias = (torch.from_numpy(np.array(array, np.float32)) for array in found)
    return weight, bias


def freeze(backbone: EfficientNetLite0, blocks: int) -> None:
    """Fold the normalisations of the stem and the first blocks into their convolutions, which learn no more."""
    backbone.frozen = blocks
    if blocks < 0:
        return
    backbone._conv_stem, backbone._bn0 = _folded(backbone._conv_stem, backbone._bn0)
    for block in backbone._blocks[:blocks]:
        if block.expands:
            block._expand_conv, block._bn0 = _folded(block._expand_conv, block._bn0)
        block._depthwise_conv, block._bn1 = _folded(block._depthwise_conv, block._bn1)
        block._project_conv, block._bn2 = _folded(block._project_conv, block._bn2)


def _folded(convolution: SameConv, norm: nn.Module) -> tuple[SameConv, nn.Module]:
    fused = fuse_conv_bn_eval(convolution.eval(), norm.eval())
    fused.requires_grad_(False)
    return fused, nn.Identity()


def load_student(folder: Path) -> tuple[Student, Config]:
    """The student of a training run as its last checkpoint has it, and the run's configuration.

    Raises
    ------
    InvalidDataError
        The folder has no run, or none with a checkpoint, or one that is damaged or of another version.
    """
    identity = read_identity(folder)
    names = set(Config(steps=1).to_dict())
    config = Config.from_dict({name: value for name, value in identity.items() if name in names}, str(folder))
    weights = load_checkpoint(folder)["student"]
    with of_this_version(folder):
        student = Student(config.dimension, config.scales, widths_of(weights))
    freeze(student.backbone, config.frozen_blocks)
    if BACKGROUND in weights:
        student.background = BackgroundLayer(Background(weights[BACKGROUND].numpy()))
    with of_this_version(folder):
        student.load_state_dict(weights)
    return student.eval(), config


class StudentModel:
    """A student as an `ectype.descriptors.DescriptorModel`, to measure one that was not exported.

    Parameters
    ----------
    student : Student
    size : int
        Pixels a side that it looks at.
    """

    fingerprint = "not exported"

    def __init__(self, student: Student, size: int) -> None:
        self.name = "student"
        self.dimension = student.project.out_features
        self.input_size = size
        self._student = student.eval()

    def describe(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Describe RGB images (h, w, 3): (n, dimension) float32 unit rows."""
        batch = torch.from_numpy(np.stack([square(image, self.input_size) for image in images]))
        with torch.inference_mode():
            return self._student(batch).numpy()
