from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import draw_picture
from ectype.demo import packaged_photographs
from ectype.descriptors import ModelCard, OnnxModel, load_model, read_card, runtimes
from ectype.descriptors.preprocessing import RESIZE_RULES
from ectype.errors import MissingPackageError, ModelError
from ectype.images import read_image
from ectype.testing import DescriptorModelConformance, ThumbnailModel
from tiny_onnx import write_tiny_model

CARD = ModelCard(
    name="n",
    version="1",
    sha256="0" * 64,
    input_size=32,
    input_type="uint8",
    input_layout="nhwc",
    resize="square",
    mean=(0, 0, 0),
    std=(1, 1, 1),
    dimension=8,
    bfloat16=False,
    licence="MIT",
)


class TestThumbnailModel(DescriptorModelConformance):
    def make(self) -> ThumbnailModel:
        return ThumbnailModel()


@pytest.fixture(scope="class", params=["openvino", "onnxruntime"])
def running_model(request: pytest.FixtureRequest) -> OnnxModel:
    return load_model(runtime=request.param)


class TestBundledModel(DescriptorModelConformance):
    @pytest.fixture(autouse=True)
    def _model(self, running_model: OnnxModel) -> None:
        self.model = running_model

    def make(self) -> OnnxModel:
        return self.model


def test_both_runtimes_give_the_same_descriptors() -> None:
    images = [read_image(path) for path in packaged_photographs()]
    images += [np.asarray(draw_picture(seed)) for seed in range(10)]
    bundled = load_model()
    whole = replace(bundled.card, framed_share=0.0, insets=False)
    for card, least in ((whole, 0.999), (bundled.card, 0.95)):  # an inset may be seen a little more surely in one
        one, other = (
            OnnxModel(bundled._file, card, runtime).describe(images) for runtime in ("openvino", "onnxruntime")
        )
        assert (one * other).sum(axis=1).min() >= least


def test_pictures_are_inferred_together_only_where_that_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    images = [np.asarray(draw_picture(seed)) for seed in range(6)]
    one_by_one = load_model(runtime="openvino")
    alone = np.concatenate([one_by_one.describe([image]) for image in images])
    infer = runtimes._Compiled.infer
    asked: list[int] = []

    def a_little_off(self: runtimes._Compiled, batch: np.ndarray) -> list[np.ndarray]:
        asked.append(len(batch))
        outputs = infer(self, batch)
        return [np.nextafter(output, np.float32(2)) for output in outputs] if len(batch) > 1 else outputs

    monkeypatch.setattr(runtimes._Compiled, "infer", a_little_off)
    model = load_model(runtime="openvino")
    assert np.array_equal(model.describe(images), alone)
    assert max(asked) > 1, "they were not tried together"
    asked.clear()
    assert np.array_equal(model.describe(images), alone)
    assert max(asked) == 1


def test_a_model_of_batches_of_one_describes_many_pictures(tmp_path: Path) -> None:
    images = [np.asarray(draw_picture(seed)) for seed in range(6)]
    fixed, free = (load_model(write_tiny_model(tmp_path, str(of_one), of_one=of_one)) for of_one in (True, False))
    assert np.array_equal(fixed.describe(images), free.describe(images))


def test_the_bundled_model_keeps_to_the_limits() -> None:
    model = load_model()
    assert model.dimension <= 256
    assert model.card.licence == "Apache-2.0"
    file = Path(sys.modules["ectype.descriptors"].__path__[0]) / "bundled" / "model.onnx"
    assert file.stat().st_size <= 25_000_000


def test_the_fingerprint_covers_weights_and_preprocessing_only() -> None:
    for change in (
        {"sha256": "1" * 64},
        {"input_size": 64},
        {"resize": "centre"},
        {"mean": (1, 0, 0)},
        {"framed_share": 0.5},
        {"insets": True},
    ):
        assert replace(CARD, **change).fingerprint != CARD.fingerprint
    for change in ({"name": "other"}, {"description": "more"}, {"licence": "BSD"}, {"bfloat16": True}):
        assert replace(CARD, **change).fingerprint == CARD.fingerprint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_type": "int8"}, "input_type must be"),
        ({"input_layout": "hwc"}, "input_layout must be"),
        ({"resize": "stretch"}, "resize must be one of"),
        ({"input_size": 4}, "input_size must be 16"),
        ({"input_size": "224"}, "input_size must be 16"),
        ({"dimension": 4097}, "dimension: 1 to 4096"),
        ({"mean": (1, 2)}, "mean must be three numbers"),
        ({"mean": "abc"}, "mean must be three numbers"),
        ({"std": (1, 1, 0)}, "std must be above 0"),
        ({"sha256": "abc"}, "64 hexadecimal digits"),
        ({"bfloat16": 1}, "true or false"),
        ({"name": 7}, "name must be a text"),
        ({"insets": 1}, "insets must be true or false"),
        ({"framed_share": "half"}, "framed_share must be a number"),
        ({"framed_share": 1.5}, "framed_share must be 0 to 1"),
        ({"framed_share": float("nan")}, "framed_share must be 0 to 1"),
    ],
)
def test_cards_that_can_not_be_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        replace(CARD, **change)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "can't be read"),
        ("[]", "must be a JSON object"),
        ("{}", "lacks bfloat16, dimension"),
        (json.dumps(json.loads(CARD.to_json()) | {"extra": 1}), "unknown fields extra"),
        (json.dumps(json.loads(CARD.to_json()) | {"dimension": 0}), "dimension"),
    ],
)
def test_bad_card_files_are_refused_by_name(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "card.json").write_text(content)
    with pytest.raises(ModelError, match=rf"card\.json: .*{message}"):
        read_card(tmp_path / "card.json")


def test_a_card_comes_back_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text(CARD.to_json())
    assert read_card(tmp_path / "card.json") == CARD


def test_a_stored_model_is_the_same_model(tmp_path: Path, bundled_model: OnnxModel) -> None:
    bundled_model.save(tmp_path)
    for path in (tmp_path, tmp_path / "model.onnx"):
        assert load_model(path).fingerprint == bundled_model.fingerprint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256": "0" * 64}, "its card says 0000"),
        ({"dimension": 128}, r"\(1, 256\) where its card promises \(1, 128\)"),
        ({"input_layout": "nchw"}, "can't run it|does not take"),
        ({"input_type": "float32"}, "takes an input of uint8, not of float32"),
    ],
)
@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_a_card_that_does_not_fit_its_file_is_refused(
    tmp_path: Path, bundled_model: OnnxModel, runtime: str, change: dict[str, object], message: str
) -> None:
    bundled_model.save(tmp_path)
    with pytest.raises(ModelError, match=message):
        OnnxModel(tmp_path / "model.onnx", replace(bundled_model.card, **change), runtime)


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, runtime: str) -> None:
    import hashlib

    (tmp_path / "model.onnx").write_bytes(b"nothing of the kind")
    card = replace(CARD, sha256=hashlib.sha256(b"nothing of the kind").hexdigest())
    with pytest.raises(ModelError, match=r"model\.onnx"):
        OnnxModel(tmp_path / "model.onnx", card, runtime)


def test_missing_files_are_named(tmp_path: Path, bundled_model: OnnxModel) -> None:
    with pytest.raises(ModelError, match=r"gone\.onnx: there is no such model file"):
        load_model(tmp_path / "gone.onnx")
    bundled_model.save(tmp_path)
    (tmp_path / "model.json").unlink()
    with pytest.raises(ModelError, match=r"model\.json: a model file needs its card"):
        load_model(tmp_path)


def test_a_missing_runtime_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingPackageError, match="pip install onnxruntime"):
        load_model(runtime="onnxruntime")


@pytest.mark.parametrize("rule", RESIZE_RULES)
@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (100, 300), (32, 32), (40, 20)])
def test_every_picture_becomes_the_square(rule: str, size: tuple[int, int]) -> None:
    pixels = np.full((*size, 3), (10, 120, 250), np.uint8)
    result = RESIZE_RULES[rule](pixels, 32)
    assert result.shape == (32, 32, 3)
    assert (result == (10, 120, 250)).all()


def test_signals_are_survived_after_models_that_end_in_any_order() -> None:
    code = """
import os, signal
from ectype.descriptors import load_model
signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
first = load_model()
second = load_model()
del first
del second
os.kill(os.getpid(), signal.SIGUSR1)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "handled")


USE_BOTH_RUNTIMES = """
import sys
import numpy as np
from ectype.descriptors import load_model
for runtime in ("openvino", "onnxruntime"):
    load_model(runtime=runtime).describe([np.zeros((9, 9, 3), np.uint8)])
assert "openvino_telemetry" not in sys.modules
assert not any(name.startswith("openvino_telemetry.") for name in sys.modules)
"""


def test_no_runtime_leaves_traces_or_speaks(tmp_path: Path) -> None:
    # Telemetry is off in CI anyway, so the child must not know that it runs there.
    hints = ("CI", "TF_BUILD", "JENKINS_URL", "GITHUB_ACTIONS", "ORT_DISABLE_TELEMETRY")
    environment = {name: value for name, value in os.environ.items() if name not in hints}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", USE_BOTH_RUNTIMES], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [str(path) for path in tmp_path.rglob("*")] == []
    assert done.stdout == ""
