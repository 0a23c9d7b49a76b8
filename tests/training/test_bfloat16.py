from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from ectype.descriptors import load_model
from ectype.descriptors.card import read_card
from ectype.errors import ModelError
from ectype.transformations.materials import drawn_picture
from ectype_training.bfloat16 import STEP, fit, round_to_bfloat16, rounded
from ectype_training.bfloat16_simulation import describe_simulated, with_rounded_values
from ectype_training.onnx_export import MEAN, Identity, export, store_weights_as_float16, widen_weights
from ectype_training.student import Student

SIZE = 64


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    flat = [np.full((SIZE, SIZE, 3), grey, np.uint8) for grey in (10, 100, 250)]
    return [*(drawn_picture(number, (SIZE, SIZE)) for number in range(12)), *flat]


@pytest.fixture(scope="module")
def plain(
    export_student: Callable[[Path, Sequence[np.ndarray], int], Path],
    pictures: list[np.ndarray],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    return export_student(tmp_path_factory.mktemp("plain"), pictures, 24)


@pytest.fixture(scope="module")
def of_two_scales(plain: Path, pictures: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    student, folder = Student.from_onnx(plain), tmp_path_factory.mktemp("two scales")
    student.look_at_more(2)
    export(student.eval(), Identity("student", "1", "Apache-2.0", "made by a test"), np.stack(pictures), folder)
    return folder / "model.onnx"


def inside(model: onnx.ModelProto, name: str, kind: int, images: np.ndarray) -> np.ndarray:
    """A value between a model's nodes, of a data type of ONNX."""
    import onnxruntime

    model.graph.output.append(onnx.helper.make_tensor_value_info(name, kind, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run([name], {"images": images})[0]


def weights_of(path: Path) -> dict[str, np.ndarray]:
    model = onnx.load(path)
    widen_weights(model)
    used = {name for node in model.graph.node if node.op_type in ("Conv", "Gemm") for name in node.input}
    return {e.name: numpy_helper.to_array(e) for e in model.graph.initializer if e.name in used}


def test_rounding_is_that_of_bfloat16() -> None:
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32) * np.float32(10) ** np.arange(-5, 5).repeat(
        100
    )
    values = values.astype(np.float32)
    np.testing.assert_array_equal(rounded(values), torch.from_numpy(values).bfloat16().float().numpy())


def test_a_fitted_model_computes_in_bfloat16_what_it_computes_in_float32(
    plain: Path, pictures: list[np.ndarray], tmp_path: Path
) -> None:
    card = fit(plain, pictures, tmp_path)
    assert card.bfloat16
    one, other = (load_model(tmp_path, runtime=runtime).describe(pictures) for runtime in ("openvino", "onnxruntime"))
    assert (one * other).sum(1).min() >= 0.999
    before = load_model(plain, runtime="onnxruntime").describe(pictures)
    assert (before * other).sum(1).min() > 0.98


def test_its_weights_and_biases_are_values_of_bfloat16(plain: Path, pictures: list[np.ndarray], tmp_path: Path) -> None:
    fit(plain, pictures, tmp_path)
    before, after = weights_of(plain), weights_of(tmp_path / "model.onnx")
    assert before.keys() == after.keys()
    for name, values in after.items():
        np.testing.assert_array_equal(values, rounded(values), err_msg=name)
        np.testing.assert_allclose(values, before[name], rtol=2**-8, atol=1e-7, err_msg=name)


def test_what_the_first_convolution_gives_are_whole_steps(
    plain: Path, pictures: list[np.ndarray], tmp_path: Path
) -> None:
    fit(plain, pictures, tmp_path)
    model = onnx.load(tmp_path / "model.onnx")
    output = next(node.output[0] for node in model.graph.node if node.op_type == "Clip")
    steps = inside(model, output, onnx.TensorProto.FLOAT, np.stack(pictures)) / STEP
    np.testing.assert_array_equal(steps, steps.round())
    assert len(np.unique(steps)) > 50


def test_a_model_of_two_scales_computes_the_same_in_bfloat16(
    of_two_scales: Path, pictures: list[np.ndarray], tmp_path: Path
) -> None:
    card = fit(of_two_scales, pictures, tmp_path)
    assert card.bfloat16
    one, other = (load_model(tmp_path, runtime=name).describe(pictures) for name in ("openvino", "onnxruntime"))
    assert (one * other).sum(1).min() >= 0.999


def test_means_of_four_pixels_are_rounded_to_levels_and_halves_one_way(of_two_scales: Path) -> None:
    model = onnx.load(of_two_scales)
    round_to_bfloat16(model)
    output = next(node.output[0] for node in model.graph.node if "pixels.divisor" in node.input)  # as integers
    pairs = np.stack([np.add.outer(np.arange(0, 2 * SIZE, 2) // 4 * 4, np.arange(SIZE) % 2 * k) for k in (0, 1, 3)])
    images = np.repeat(pairs[..., None], 3, axis=3).astype(np.uint8)
    found = inside(model, output, onnx.TensorProto.UINT8, images)[:, 0]
    means = pairs.reshape(3, SIZE // 2, 2, SIZE // 2, 2).mean((2, 4)) - MEAN
    np.testing.assert_array_equal(found, MEAN + np.sign(means) * np.floor(np.abs(means) + 0.5))  # never to even


def test_pixels_of_halves_are_values_of_bfloat16(of_two_scales: Path, pictures: list[np.ndarray]) -> None:
    model = onnx.load(of_two_scales)
    round_to_bfloat16(model)
    output = next(node.output[0] for node in model.graph.node if "pixels.step" in node.input)
    pixels = inside(model, output, onnx.TensorProto.FLOAT, np.stack(pictures))
    np.testing.assert_array_equal(pixels, rounded(pixels))
    assert len(np.unique(pixels)) > 50


def test_fitting_twice_changes_nothing_more(plain: Path, pictures: list[np.ndarray], tmp_path: Path) -> None:
    once, twice = tmp_path / "once", tmp_path / "twice"
    for folder in (once, twice):
        folder.mkdir()
    fit(plain, pictures, once)
    fit(once / "model.onnx", pictures, twice)
    first, second = (load_model(folder, runtime="onnxruntime").describe(pictures) for folder in (once, twice))
    np.testing.assert_array_equal(first, second)


def test_a_simulation_rounds_what_layers_give_each_other(of_two_scales: Path, pictures: list[np.ndarray]) -> None:
    model = onnx.load(of_two_scales)
    simulated = with_rounded_values(model)
    outputs = [node.output[0] for node in model.graph.node if node.op_type in ("Clip", "Pow")]
    del outputs[-1:]  # of the length that the last product's rows are divided by
    for output in (outputs[0], outputs[len(outputs) // 2], outputs[-1]):
        values = inside(simulated, output, onnx.TensorProto.FLOAT, np.stack(pictures))
        np.testing.assert_array_equal(values, rounded(values), err_msg=output)
        assert len(np.unique(values)) > 10


def test_fitting_brings_a_simulation_nearer_to_float32(plain: Path, pictures: list[np.ndarray], tmp_path: Path) -> None:
    fit(plain, pictures, tmp_path)

    def lowest(path: Path) -> float:
        card = read_card(path.with_suffix(".json"))
        exact = load_model(path, runtime="onnxruntime").describe(pictures)
        return float((describe_simulated(onnx.load(path), card, pictures) * exact).sum(1).min())

    assert lowest(plain) < lowest(tmp_path / "model.onnx") < 1 - 1e-7


def test_a_processor_without_bfloat16_simulates_it(
    plain: Path,
    pictures: list[np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("ectype_training.bfloat16.computes_in_bfloat16", lambda: False)
    assert fit(plain, pictures, tmp_path).bfloat16
    assert "simulated bfloat16" in capsys.readouterr().out


def test_a_student_starts_from_a_fitted_model(plain: Path, pictures: list[np.ndarray], tmp_path: Path) -> None:
    fit(plain, pictures, tmp_path)
    student = Student.from_onnx(tmp_path / "model.onnx")
    with torch.inference_mode():
        found = student.eval()(torch.from_numpy(np.stack(pictures))).numpy()
    assert (found * load_model(tmp_path, runtime="onnxruntime").describe(pictures)).sum(1).min() > 0.98


def test_weights_are_widened_as_they_were_stored(plain: Path) -> None:
    model = onnx.load(plain)
    before = model.SerializeToString(deterministic=True)
    widen_weights(model)
    assert all(entry.data_type != onnx.TensorProto.FLOAT16 for entry in model.graph.initializer)
    store_weights_as_float16(model)
    assert model.SerializeToString(deterministic=True) == before


def test_a_model_of_another_kind_is_refused() -> None:
    graph = onnx.helper.make_graph([], "empty", [], [])
    with pytest.raises(ModelError, match="ReLU6"):
        round_to_bfloat16(onnx.helper.make_model(graph))
