"""TorchScript files of the structure that SSCD's has, converted to ONNX."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from ectype.cli import main
from ectype.cli import models as models_command
from ectype.descriptors import ModelStore, OnnxModel, load_model, published, torchscript
from ectype.descriptors.model import digest_of
from ectype.descriptors.published import SSCD_DISC_MIXUP, PublishedModel, add_published
from ectype.descriptors.torchscript import check_conversion, convert_torchscript
from ectype.errors import DownloadError, ModelError
from ectype.transformations.materials import drawn_picture

SIZE, DIMENSION = 64, 512


class Block(nn.Module):
    """Convolutions with a way around them, as in a ResNet."""

    def __init__(self, taken: int, given: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(taken, given, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(given)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(given, given, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(given)
        self.downsample = nn.Sequential(nn.Conv2d(taken, given, 1, 2, bias=False), nn.BatchNorm2d(given))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + self.downsample(x))


class GlobalGeMPool2d(nn.Module):
    """Generalised mean, with a constant exponent."""

    def __init__(self, pooling_param: float) -> None:
        super().__init__()
        self.pooling_param = pooling_param

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.size()
        x = x.reshape(n, c, h * w)
        return x.clamp(min=1e-6).pow(self.pooling_param).mean(dim=2).pow(1.0 / self.pooling_param)


class L2Norm(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.normalize(x)


class Model(nn.Module):
    """A backbone, then pooling, a linear layer and normalisation."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        pool = nn.MaxPool2d(3, 2, 1)
        self.backbone = nn.Sequential(nn.Conv2d(3, 8, 7, 2, 3, bias=False), pool, Block(8, 16), Block(16, 32))
        self.embeddings = nn.Sequential(GlobalGeMPool2d(3.0), nn.Linear(32, DIMENSION), L2Norm())

    def forward(self, x: Tensor) -> Tensor:
        return self.embeddings(self.backbone(x))


def save(file: Path, how: str = "trace", seed: int = 0) -> Path:
    model = Model(seed)
    model(torch.randn(8, 3, SIZE, SIZE))  # so that the normalisation has seen something
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module = model.eval()
        made = torch.jit.script(module) if how == "script" else torch.jit.trace(module, torch.randn(1, 3, SIZE, SIZE))
        made.save(str(file))
    return file


def described(file: Path) -> PublishedModel:
    """A published model like SSCD's, whose file is another one."""
    size, digest = file.stat().st_size, digest_of(file)
    return replace(SSCD_DISC_MIXUP, url=file.as_uri(), size=size, sha256=digest, input_size=SIZE)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return save(tmp_path / "small.pt")


@pytest.mark.parametrize("how", ["trace", "script"])
@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_the_model_gives_what_its_torchscript_file_gives(
    tmp_path: Path, store: ModelStore, how: str, runtime: str
) -> None:
    file = save(tmp_path / "small.pt", how)
    assert add_published(described(file), store, file).change == "added"
    model = load_model("sscd_disc_mixup", runtime=runtime)
    pictures = [drawn_picture(seed, (SIZE, SIZE)) for seed in range(6)]
    mean, std = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
    batch = (np.stack(pictures).astype(np.float32) / 255 - mean) / std  # as torchvision does it
    with torch.inference_mode():
        expected = torchscript._load(file)(torch.from_numpy(batch.transpose(0, 3, 1, 2).copy())).numpy()
    found = model.describe(pictures)
    assert found.shape == (6, DIMENSION)
    assert (found * expected).sum(axis=1).min() >= 0.9999
    assert (found[:1] * expected[1:]).sum(axis=1).max() < 0.9999  # they differ


@pytest.mark.parametrize("how", ["trace", "script"])
def test_the_batch_is_of_any_size(tmp_path: Path, how: str) -> None:
    convert_torchscript(save(tmp_path / "small.pt", how), tmp_path / "small.onnx", SIZE)
    session = onnxruntime.InferenceSession(str(tmp_path / "small.onnx"), providers=["CPUExecutionProvider"])
    batch = np.random.default_rng(0).normal(size=(3, 3, SIZE, SIZE)).astype(np.float32)
    (together,) = session.run(None, {"images": batch})
    alone = np.concatenate([session.run(None, {"images": batch[row : row + 1]})[0] for row in range(3)])
    assert together.shape == (3, DIMENSION)
    assert np.allclose(together, alone, atol=1e-5)


def test_a_model_is_downloaded_once(tmp_path: Path, store: ModelStore, file: Path) -> None:
    steps: list[int] = []
    wanted = described(file)
    assert add_published(wanted, store, on_progress=steps.append).change == "added"
    assert sum(steps) == wanted.size
    assert sorted(path.name for path in store.folder.iterdir()) == [".lock", "sscd_disc_mixup"]
    before = store.find(wanted.name)
    assert before.is_sound()
    assert add_published(wanted, store, on_progress=steps.append).change == "unchanged"
    assert sum(steps) == wanted.size
    other = described(save(tmp_path / "other.pt", seed=1))
    with pytest.raises(ModelError, match="there is another model 'sscd_disc_mixup'"):
        add_published(other, store)
    assert store.find(wanted.name) == before
    assert add_published(other, store, replace=True).change == "replaced"
    assert store.find(wanted.name).card.fingerprint != before.card.fingerprint


def test_what_can_not_be_downloaded_can_be_given(store: ModelStore, file: Path) -> None:
    wanted = replace(described(file), url=file.with_name("gone").as_uri())
    with pytest.raises(DownloadError, match=r"gone: can't be downloaded: .*`ectype models add sscd_disc_mixup --file"):
        add_published(wanted, store)
    with pytest.raises(ModelError, match=r"download\.pt: its sha256 is"):
        add_published(replace(described(file), sha256="0" * 64), store)
    assert store.names() == []
    assert add_published(wanted, store, file).change == "added"


def test_files_that_are_no_models_of_the_kind_are_refused(store: ModelStore, file: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.pt"
    text.write_text("nothing of the kind")
    with pytest.raises(ModelError, match=r"text\.pt: not a TorchScript file"):
        add_published(described(text), store, text)
    with pytest.raises(ModelError, match=r"gives \(1, 512\) where its card promises \(1, 256\)"):
        add_published(replace(described(file), dimension=256), store, file)
    assert store.names() == []


def test_an_onnx_file_that_says_something_else_is_refused(store: ModelStore, file: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "other.pt", seed=1)
    convert_torchscript(other, tmp_path / "other.onnx", SIZE)
    card = described(other).card_for(digest_of(tmp_path / "other.onnx"))
    check_conversion(other, OnnxModel(tmp_path / "other.onnx", card))
    with pytest.raises(ModelError, match=r"small\.pt: the ONNX file made from it differs.* 0\.999 is needed"):
        check_conversion(file, OnnxModel(tmp_path / "other.onnx", card))


def test_the_command(
    store: ModelStore, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(published.PUBLISHED, "sscd_disc_mixup", described(file))
    assert models_command.PUBLISHED is published.PUBLISHED
    assert main(["models", "add", "sscd_disc_mixup"]) == 0
    assert main(["models", "add", "sscd_disc_mixup", "--file", str(file)]) == 0
    assert "unchanged" in capsys.readouterr().out
    assert main(["models", "info", "sscd_disc_mixup"]) == 0
    shown = capsys.readouterr().out
    assert "MIT, Copyright (c) Meta" in shown
    assert file.as_uri() in shown
