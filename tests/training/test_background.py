from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ectype.descriptors import load_model
from ectype.errors import InvalidDataError, ModelError
from ectype.images import ImageItem, decode_image, list_images
from ectype.transformations.materials import drawn_picture
from ectype_training.averaging import average
from ectype_training.background import (
    SAME,
    SHARPNESS,
    STRENGTH,
    TEMPERATURE,
    Background,
    BackgroundLayer,
    add_background,
    describe_background,
)
from ectype_training.commands import run
from ectype_training.onnx_export import Identity
from ectype_training.student import Student, export_student
from ectype_training.whitening import whiten

SIZE, DIMENSION = 64, 24


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return [drawn_picture(number, (SIZE, SIZE)) for number in range(12)]


@pytest.fixture(scope="module")
def plain(
    export_student: Callable[[Path, Sequence[np.ndarray], int], Path],
    pictures: list[np.ndarray],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    return export_student(tmp_path_factory.mktemp("plain"), pictures, DIMENSION)


def unit_rows(count: int, dimension: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dimension))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def background() -> Background:
    return Background(unit_rows(60, DIMENSION, 6))


def less_the_background(rows: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The formula once more, in NumPy."""
    similarity = vectors @ rows.T
    weight = np.exp(similarity / TEMPERATURE) / (1 + np.exp((similarity - SAME) / SHARPNESS))
    rest = vectors - STRENGTH * weight / weight.sum(axis=1, keepdims=True) @ rows
    return rest / np.linalg.norm(rest, axis=1, keepdims=True)


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_the_file_computes_what_the_formula_says(
    plain: Path, background: Background, pictures: list[np.ndarray], tmp_path: Path, runtime: str
) -> None:
    card = add_background(plain, background, "2", "with a background", tmp_path)
    assert (card.name, card.version, card.bfloat16) == ("student", "2", False)
    before = load_model(plain, runtime=runtime).describe(pictures)
    after = load_model(tmp_path / "model.onnx", runtime=runtime).describe(pictures)
    assert (after * background.subtract(before)).sum(1).min() > 0.9999
    assert (after * less_the_background(background.rows, before)).sum(1).min() > 0.9999
    assert (after * before).sum(1).min() < 0.999, "the layer does nothing"


def near(centre: np.ndarray, share: float, seed: int, count: int) -> np.ndarray:
    """Rows whose squared cosine to `centre` is about `share`."""
    rows = share**0.5 * centre + (1 - share) ** 0.5 * unit_rows(count, centre.shape[1], seed)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_members_of_a_crowd_become_less_alike_and_copies_stay_so() -> None:
    shared = unit_rows(1, 64, 1)
    found = Background(np.concatenate([near(shared, 0.36, 2, 400), unit_rows(400, 64, 3)]))
    strangers = near(shared, 0.36, 4, 2)
    copies = near(strangers[:1], 0.9, 5, 2)
    assert np.prod(found.subtract(strangers), axis=0).sum() < np.prod(strangers, axis=0).sum() - 0.2
    assert np.prod(found.subtract(copies), axis=0).sum() > np.prod(copies, axis=0).sum() - 0.1


def test_the_rows_come_from_the_readable_photographs(plain: Path, drawn: Callable[..., list[ImageItem]]) -> None:
    items, model = drawn(9), load_model(plain)
    Path(items[4].location).write_bytes(b"")
    rows = describe_background(model, items, 8).rows
    others = [decode_image(item.read()) for number, item in enumerate(items) if number != 4]
    described = model.describe(others)
    assert rows.shape == described.shape
    assert (rows @ described.T).max(axis=1).min() > 0.9999, "a row is no photograph's"
    assert (rows @ described.T).max(axis=0).min() > 0.9999, "a photograph has no row"


class MeanColour:
    """A model that says what colour a picture has."""

    name, fingerprint, dimension, input_size = "colour", "0", 3, 8

    def describe(self, images: Sequence[np.ndarray]) -> np.ndarray:
        rows = np.array([image.mean(axis=(0, 1)) for image in images], np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_the_rows_are_means_of_photographs_that_are_alike(tmp_path: Path) -> None:
    colours = [(250, 10, shade) for shade in (0, 9, 30, 60)] + [(shade, 20, 200) for shade in (0, 15, 40)]
    for number, colour in enumerate(colours):
        Image.new("RGB", (8, 8), colour).save(tmp_path / f"{number}.png")
    items = list_images([tmp_path])
    rows = describe_background(MeanColour(), items, 2).rows
    described = MeanColour().describe([decode_image(item.read()) for item in items])
    expected = np.array([described[:4].sum(axis=0), described[4:].sum(axis=0)])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(rows[rows[:, 0].argsort()[::-1]], expected, atol=1e-5)
    assert np.array_equal(describe_background(MeanColour(), items, 2).rows, rows)


def test_too_few_photographs_are_refused(plain: Path, drawn: Callable[..., list[ImageItem]]) -> None:
    items = drawn(4)
    Path(items[0].location).write_bytes(b"")
    with pytest.raises(InvalidDataError, match="3 readable photographs are too few for a background of 4"):
        describe_background(load_model(plain), items, 4)


def test_a_background_is_added_once(plain: Path, background: Background, tmp_path: Path) -> None:
    add_background(plain, background, "2", "with a background", tmp_path)
    made = tmp_path / "model.onnx"
    with pytest.raises(ModelError, match="has a background already"):
        add_background(made, background, "3", "twice", tmp_path)


def test_a_background_of_another_model_is_refused(plain: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="24 dimensions, the background 16"):
        add_background(plain, Background(unit_rows(4, 16, 5)), "2", "another's", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def with_background(plain: Path, background: Background, tmp_path: Path) -> Path:
    add_background(plain, background, "2", "with a background", tmp_path / "made")
    return tmp_path / "made" / "model.onnx"


def said(student: Student, pictures: Sequence[np.ndarray]) -> np.ndarray:
    with torch.inference_mode():
        return student.eval()(torch.from_numpy(np.stack(pictures))).numpy()


def test_a_student_learns_through_the_background_of_its_start(
    with_background: Path, background: Background, pictures: list[np.ndarray]
) -> None:
    student = Student.from_onnx(with_background)
    expected = load_model(with_background, runtime="onnxruntime").describe(pictures)
    assert (said(student, pictures) * expected).sum(1).min() > 0.999
    student(torch.from_numpy(np.stack(pictures))).sum().backward()
    assert student.background is not None and not list(student.background.parameters())
    np.testing.assert_allclose(student.background.rows.numpy(), background.rows, atol=1e-3)  # stored as float16
    assert student.project.weight.grad is not None and student.project.weight.grad.abs().sum() > 0


def test_a_student_is_exported_with_its_background(
    with_background: Path, pictures: list[np.ndarray], tmp_path: Path
) -> None:
    student = Student.from_onnx(with_background)
    expected = said(student, pictures)
    card = export_student(student, Identity("student", "3", "MIT", "again"), np.stack(pictures), tmp_path / "again")
    assert (card.version, card.description, card.licence) == ("3", "again", "MIT")
    model = load_model(tmp_path / "again", runtime="onnxruntime")
    assert (model.describe(pictures) * expected).sum(1).min() > 0.999
    assert (said(student, pictures) * expected).sum(1).min() > 0.9999  # it keeps its background


def test_the_background_takes_nothing_for_what_a_picture_shows() -> None:
    own, other = unit_rows(2, 16, 8)
    layer = BackgroundLayer(Background(np.stack([own, other])))
    edited = own + 1.2 * unit_rows(1, 16, 9)[0]  # less like its photograph than what is taken for the same
    vectors = torch.from_numpy((edited / np.linalg.norm(edited)).astype(np.float32))[None]
    shown = torch.from_numpy(own)[None, None]
    kept, taken = layer(vectors, shown), layer(vectors)
    np.testing.assert_allclose(taken.numpy(), less_the_background(layer.rows.numpy(), vectors.numpy()), atol=1e-6)
    assert (kept @ torch.from_numpy(own)).item() > (taken @ torch.from_numpy(own)).item() + 0.1
    everything = torch.from_numpy(np.stack([own, other]))[None]
    torch.testing.assert_close(layer(vectors, everything), vectors)  # nothing is left to be taken away


def test_a_middle_has_the_background_that_both_have(
    with_background: Path, plain: Path, pictures: list[np.ndarray], tmp_path: Path
) -> None:
    first = Student.from_onnx(with_background)
    with torch.no_grad():
        first.project.weight.add_(0.05 * torch.randn(first.project.weight.shape))
    identity = Identity("student", "3", "MIT", "another")
    export_student(first, identity, np.stack(pictures), tmp_path / "other")
    other = tmp_path / "other" / "model.onnx"
    half = (average(with_background, other).project.weight + average(other, with_background).project.weight) / 2
    weights = [Student.from_onnx(path).project.weight for path in (with_background, other)]
    torch.testing.assert_close(half, (weights[0] + weights[1]) / 2)
    for share, path in ((0.0, with_background), (1.0, other)):
        mixed = average(with_background, other, share)
        np.testing.assert_allclose(said(mixed, pictures), said(Student.from_onnx(path), pictures), atol=1e-5)
        assert mixed.background is not None
    for models in ((with_background, plain), (plain, with_background)):
        with pytest.raises(ModelError, match="has not the background of"):
            average(*models)
    with pytest.raises(InvalidDataError, match="from 0 to 1, not 2"):
        average(plain, plain, 2)


def test_a_background_keeps_its_numbers_until_another_is_asked_for(
    plain: Path, background: Background, tmp_path: Path
) -> None:
    weak = Background(background.rows, 0.5, 0.7, 0.1)
    add_background(plain, weak, "2", "weak", tmp_path / "weak")
    weaker = tmp_path / "weak" / "model.onnx"
    Image.fromarray(drawn_picture(1, (SIZE, SIZE))).save(tmp_path / "1.png")
    (tmp_path / "card.txt").write_text("a test")
    words = ["average", "--images", tmp_path, "--version", "3", "--description", tmp_path / "card.txt"]
    made = {
        "same": ([], (0.5, 0.7, 0.1)),
        "stronger": (["--strength", "1.2"], (1.2, 0.7, 0.1)),
        "other": (["--same", "0.4", "--temperature", "0.03"], (0.5, 0.4, 0.03)),
    }
    for name, (more, expected) in made.items():
        done = run(list(map(str, [*words, "--models", weaker, weaker, *more, "--out", tmp_path / name])))
        student = Student.from_onnx(tmp_path / name / "model.onnx")
        assert done == 0 and student.background is not None
        found = student.background.background
        assert (found.strength, found.same, found.temperature) == pytest.approx(expected)
    with pytest.raises(ModelError, match="has not the background of"):
        average(weaker, tmp_path / "stronger" / "model.onnx")
    assert run(list(map(str, [*words, "--models", plain, plain, "--strength", "1", "--out", tmp_path / "none"]))) == 1


def test_a_student_with_a_background_is_not_whitened(
    with_background: Path, drawn: Callable[..., list[ImageItem]]
) -> None:
    with pytest.raises(ModelError, match="whiten it first"):
        whiten(Student.from_onnx(with_background), drawn(30), SIZE, 1.0)


def test_another_background_is_described_for_another_size(with_background: Path, tmp_path: Path) -> None:
    for number in range(8):
        Image.fromarray(drawn_picture(number, (SIZE, SIZE))).save(tmp_path / f"{number}.png")
    (tmp_path / "card.txt").write_text("a test")
    more = ["--images", tmp_path, "--version", "3", "--description", tmp_path / "card.txt"]
    words = ["average", "--models", with_background, with_background, "--size", "96", "--no-background"]
    assert run(list(map(str, [*words, *more, "--out", tmp_path / "bare"]))) == 0
    bare = tmp_path / "bare" / "model.onnx"
    assert Student.from_onnx(bare).background is None
    words = ["background", "--model", bare, "--rows", "5"]
    assert run(list(map(str, [*words, *more, "--out", tmp_path / "anew"]))) == 0
    student = Student.from_onnx(tmp_path / "anew" / "model.onnx")
    assert student.background is not None and len(student.background.rows) == 5
    assert load_model(tmp_path / "anew").input_size == 96
