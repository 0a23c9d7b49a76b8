from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from ectype.descriptors import load_model
from ectype.errors import ModelError
from ectype.transformations.materials import drawn_picture
from ectype_training.efficientnet_lite import SameConv
from ectype_training.onnx_export import Identity, export
from ectype_training.student import Student, StudentModel, freeze

SIZE = 64


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    return torch.from_numpy(np.stack([drawn_picture(number, (SIZE, SIZE)) for number in range(8)]))


@pytest.fixture(scope="module")
def student(pictures: torch.Tensor) -> Student:
    """Random weights, with normalisations that have seen pictures."""
    torch.manual_seed(0)
    student = Student(32).train()
    with torch.no_grad():
        for _ in range(60):
            student(pictures)
    return student.eval()


@pytest.fixture(scope="module")
def exported(student: Student, pictures: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    export(student, Identity("student", "1", "Apache-2.0", "made by a test"), pictures.numpy(), folder)
    return folder


def descriptors(student: Student, pictures: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return student.eval()(pictures)


def test_the_exported_file_says_what_pytorch_says(student: Student, exported: Path, pictures: torch.Tensor) -> None:
    model = load_model(exported)
    found = model.describe(list(pictures.numpy()))
    assert (model.dimension, model.input_size) == (32, SIZE)
    assert (found * descriptors(student, pictures).numpy()).sum(1).min() > 0.999


def test_a_student_starts_where_the_exported_file_ends(exported: Path, pictures: torch.Tensor) -> None:
    again = Student.from_onnx(exported / "model.onnx")
    expected = load_model(exported, runtime="onnxruntime").describe(list(pictures.numpy()))
    np.testing.assert_allclose(descriptors(again, pictures), expected, atol=2e-3)


def test_renormalising_changes_no_descriptor_but_what_training_sees(exported: Path, pictures: torch.Tensor) -> None:
    again = Student.from_onnx(exported / "model.onnx")
    before = descriptors(again, pictures)
    again.renormalise([pictures])
    torch.testing.assert_close(descriptors(again, pictures), before, atol=2e-3, rtol=0)
    with torch.no_grad():  # by the batch's own statistics, which are those it was given
        in_training = again.train()(pictures)
    assert (in_training * before).sum(1).min() > 0.99


@pytest.mark.parametrize("blocks", [-1, 0, 5])
def test_freezing_changes_no_descriptor_and_keeps_what_is_frozen(
    student: Student, pictures: torch.Tensor, blocks: int
) -> None:
    copy = Student(32)
    copy.load_state_dict(student.state_dict())
    freeze(copy.backbone, blocks)
    torch.testing.assert_close(descriptors(copy, pictures), descriptors(student, pictures), atol=1e-4, rtol=0)
    copy.train()(pictures).sum().backward()
    stem, first, last = copy.backbone._conv_stem, copy.backbone._blocks[0], copy.backbone._blocks[-1]
    assert (stem.weight.grad is None) == (blocks >= 0)
    assert (first._project_conv.weight.grad is None) == (blocks > 0)
    assert last._project_conv.weight.grad is not None


def test_a_student_is_a_descriptor_model(student: Student, pictures: torch.Tensor) -> None:
    model = StudentModel(student, SIZE)
    rows = model.describe([drawn_picture(1, (90, 50)), drawn_picture(2, (40, 40))])
    assert rows.shape == (2, 32)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_other_files_and_other_architectures_are_refused(tmp_path: Path, exported: Path) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match=r"other\.onnx"):
        Student.from_onnx(other)
    model = onnx.load(exported / "model.onnx")
    first = next(node for node in model.graph.node if node.op_type == "Conv")
    model.graph.node.remove(first)
    onnx.save(model, other)
    with pytest.raises(ModelError, match="49 layers, where EfficientNet-Lite0 and a linear one have 50"):
        Student.from_onnx(other)
    model = onnx.load(exported / "model.onnx")
    stem = next(node for node in model.graph.node if node.op_type == "Conv").input[1]
    weights = next(entry for entry in model.graph.initializer if entry.name == stem)
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights)[..., :2], stem))
    onnx.save(model, other)
    with pytest.raises(ModelError, match="was expected"):
        Student.from_onnx(other)


def test_a_student_of_two_scales_is_exported_and_comes_back(
    student: Student, pictures: torch.Tensor, tmp_path: Path
) -> None:
    whole = Student(32, scales=2)
    whole.load_state_dict(student.state_dict() | {"project.weight": student.project.weight.repeat(1, 2)})
    expected = descriptors(whole, pictures)
    export(whole, Identity("student", "1", "Apache-2.0", "made by a test"), pictures.numpy(), tmp_path)
    assert (tmp_path / "model.onnx").stat().st_size < 10e6  # weights are there once
    inputs = [node.input for node in onnx.load(tmp_path / "model.onnx").graph.node if node.op_type == "Conv"]
    biases = [names[2] for names in inputs if len(names) == 3]
    assert len(biases) == len(set(biases)) == 98  # but no two convolutions share one
    again = Student.from_onnx(tmp_path / "model.onnx")
    assert again.scales == 2
    torch.testing.assert_close(descriptors(again, pictures), expected, atol=2e-3, rtol=0)


def test_more_scales_begin_with_half_the_weight_each(exported: Path) -> None:
    one, three = (Student.from_onnx(exported / "model.onnx").eval() for _ in range(2))
    three.look_at_more(3)
    with torch.no_grad():
        said = [one.pooling(one.backbone(x)) for x in (torch.zeros(1, 3, size, size) for size in (64, 32, 16))]
        mixed = sum(share * one.project(x) for share, x in zip((4 / 7, 2 / 7, 1 / 7), said, strict=True))
    grey = torch.full((1, SIZE, SIZE, 3), 127, dtype=torch.uint8)
    torch.testing.assert_close(descriptors(three, grey), torch.nn.functional.normalize(mixed), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("size", "kernel", "stride"), [(9, 5, 1), (9, 5, 2), (10, 3, 2), (7, 3, 1)])
def test_gradients_of_depthwise_convolutions_in_bfloat16_are_those_in_float32(
    size: int, kernel: int, stride: int
) -> None:
    torch.manual_seed(0)
    layer = SameConv(8, 8, kernel, stride, groups=8, bias=False)
    pixels = torch.randn(2, 8, size, size).bfloat16()
    results = []
    for dtype in (torch.bfloat16, torch.float32):
        x = pixels.to(dtype, copy=True).requires_grad_()
        layer.zero_grad()
        result = layer(x).float()
        (result * torch.linspace(-1, 1, result.numel()).view_as(result)).sum().backward()
        assert layer.weight.grad is not None and x.grad is not None
        results.append((result.detach(), layer.weight.grad.clone(), x.grad.float()))
    for inexact, exact in zip(*results, strict=True):
        assert (inexact - exact).norm() < 0.01 * exact.norm()
