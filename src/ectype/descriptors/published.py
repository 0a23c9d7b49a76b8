"""Models that others publish, and that are not ours to pass on: fetched from their authors, checked, converted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ectype.descriptors.card import CARD_SUFFIX, ModelCard
from ectype.descriptors.download import download
from ectype.descriptors.model import MODEL_FILE, OnnxModel, digest_of
from ectype.descriptors.model_store import Addition, ModelStore
from ectype.descriptors.torchscript import check_conversion, convert_torchscript, import_torch
from ectype.errors import DownloadError, ModelError


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """A TorchScript file on the web, and what must be known to use it.

    Its model takes float32 pictures (n, 3, input_size, input_size) and gives descriptors (n, dimension).

    Attributes
    ----------
    name, version : str
    url : str
    size : int
        Of the TorchScript file, in bytes.
    sha256 : str
        Of the TorchScript file, in hexadecimal.
    input_size : int
    mean, std : tuple of three floats
        Per channel, for pixel values 0 to 255.
    dimension : int
    licence, description : str
    """

    name: str
    version: str
    url: str
    size: int
    sha256: str
    input_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    dimension: int
    licence: str
    description: str

    def card_for(self, onnx_sha256: str) -> ModelCard:
        """The card of the ONNX file that the TorchScript file was converted to."""
        return ModelCard(
            name=self.name,
            version=self.version,
            sha256=onnx_sha256,
            input_size=self.input_size,
            input_type="float32",
            input_layout="nchw",
            resize="square",
            mean=self.mean,
            std=self.std,
            dimension=self.dimension,
            bfloat16=False,
            licence=self.licence,
            description=f"{self.description} Converted to ONNX from {self.url} (sha256 {self.sha256}).",
        )


SSCD_DISC_MIXUP = PublishedModel(
    name="sscd_disc_mixup",
    version="1",
    url="https://dl.fbaipublicfiles.com/sscd-copy-detection/sscd_disc_mixup.torchscript.pt",
    size=98_791_638,
    sha256="9f26bd4c848cc19b73d2ae92eea6e04886f61a7b764ceb7a13aeee62e6a6db56",
    input_size=288,
    mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
    std=(0.229 * 255, 0.224 * 255, 0.225 * 255),
    dimension=512,
    licence="MIT, Copyright (c) Meta Platforms, Inc. and affiliates",
    description=(
        "SSCD, 'A Self-Supervised Descriptor for Image Copy Detection' (Pizzi et al., CVPR 2022), the model that "
        "facebookresearch/sscd-copy-detection recommends: ResNet-50, GeM pooling, 512 dimensions, L2-normalised, "
        "trained on DISC with advanced augmentations and mixup. Its authors give it pictures with a small edge of 288 "
        "pixels, or squares of 320; here it is given squares of 288."
    ),
)

PUBLISHED = {model.name: model for model in (SSCD_DISC_MIXUP,)}
"""The models that can be added by name."""


def add_published(
    published: PublishedModel,
    store: ModelStore,
    source: str | Path | None = None,
    *,
    replace: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> Addition:
    """Add a published model to a store, from a file or from the web.

    Parameters
    ----------
    published : PublishedModel
    store : ModelStore
    source : str or Path, optional
        The TorchScript file. Without it, it is downloaded.
    replace : bool
        Whether it takes the place of another model of its name.
    on_progress : callable, optional
        Called with the number of bytes downloaded since the last call.

    Returns
    -------
    Addition
        ``unchanged`` where it is there already.

    Raises
    ------
    ModelError
        The file isn't the published one, the conversion is not true to it, or the name is taken.
    DownloadError
        The file can't be downloaded.
    MissingPackageError
        PyTorch or ONNX is not installed.
    StorageError
        The disk refuses, or another process is changing the store.
    """
    if source is not None:
        check_published(Path(source), published)
    taken = published.name in store.names()
    if taken and not replace:
        there = store.find(published.name)
        same = there.card == published.card_for(there.card.sha256)
        if same and there.is_sound():
            return Addition(there, "unchanged")
        replace = same  # one with a damaged file is mended
    import_torch()  # better now than after a download
    with store.receiving(published.name, replace=replace) as folder:
        if source is None:
            source = folder.with_name("download.pt")
            _download(published, source, on_progress)
            check_published(source, published)
        _convert(Path(source), published, folder / MODEL_FILE)
    return Addition(store.find(published.name), "replaced" if taken else "added")


def check_published(file: Path, published: PublishedModel) -> None:
    """Raise `ModelError` unless a file is the published one, by its size and digest."""
    if not file.is_file():
        raise ModelError(f"{file}: there is no such file")
    size = file.stat().st_size
    if size != published.size:
        raise ModelError(
            f"{file}: has {size:,} bytes, but {published.name} has {published.size:,}; get it from {published.url}"
        )
    digest = digest_of(file)
    if digest != published.sha256:
        raise ModelError(
            f"{file}: its sha256 is {digest}, but that of {published.name} is {published.sha256}; "
            f"get it from {published.url}"
        )


def _download(published: PublishedModel, file: Path, on_progress: Callable[[int], None] | None) -> None:
    try:
        download(published.url, file, published.size, on_progress)
    except DownloadError as error:
        raise DownloadError(
            f"{error}. Try again, or fetch the file by other means and give it: "
            f"`ectype models add {published.name} --file PATH`"
        ) from error


def _convert(source: Path, published: PublishedModel, target: Path) -> None:
    convert_torchscript(source, target, published.input_size)
    card = published.card_for(digest_of(target))
    check_conversion(source, OnnxModel(target, card))
    target.with_suffix(CARD_SUFFIX).write_text(card.to_json(), "utf-8")
