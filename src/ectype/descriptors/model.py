"""An ONNX file with a card, as a descriptor model."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ectype.descriptors.card import ModelCard, read_card
from ectype.descriptors.preprocessing import RESIZE_RULES
from ectype.descriptors.runtimes import RuntimeName, open_runtime
from ectype.errors import ModelError

MODEL_FILE = "model.onnx"
CARD_SUFFIX = ".json"


def load_model(path: str | Path | None = None, *, runtime: RuntimeName = "auto") -> OnnxModel:
    """Load a descriptor model.

    Parameters
    ----------
    path : str or Path, optional
        An ONNX file whose card lies beside it (``name.onnx`` and ``name.json``), or a folder with ``model.onnx`` and
        ``model.json``. Without it, the model that comes with Ectype.
    runtime : {"auto", "openvino", "onnxruntime"}

    Raises
    ------
    ModelError
        A file is missing or damaged, or file and card do not fit.
    """
    if path is None:
        path = Path(str(resources.files("ectype.descriptors") / "bundled"))
    path = Path(path)
    file = path / MODEL_FILE if path.is_dir() else path
    if not file.is_file():
        raise ModelError(f"{file}: there is no such model file")
    return OnnxModel(file, read_card(file.with_suffix(CARD_SUFFIX)), runtime)


class OnnxModel:
    """A descriptor model that is an ONNX file; see `ectype.descriptors.DescriptorModel` for what it offers.

    Parameters
    ----------
    file : Path
    card : ModelCard
    runtime : {"auto", "openvino", "onnxruntime"}

    Raises
    ------
    ModelError
        The file's digest isn't the card's, or its input or output isn't what the card says.
    """

    def __init__(self, file: Path, card: ModelCard, runtime: RuntimeName = "auto") -> None:
        with open(file, "rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        if digest != card.sha256:
            raise ModelError(
                f"{file}: its sha256 is {digest}, its card says {card.sha256}; it is damaged, or the card is another's"
            )
        self.card = card
        self._file = file
        example = self._input_of(np.full((card.input_size, card.input_size, 3), 128, np.uint8))
        self._runtime = open_runtime(file, example, runtime, bfloat16=card.bfloat16)
        self._try_out(example)

    def _try_out(self, example: NDArray[np.number]) -> None:
        try:
            vector = self._runtime.run(example)
        except Exception as error:  # each engine has its own errors for an input it does not take
            raise ModelError(f"{self._file}: it does not take the input its card states: {error}") from error
        if vector.shape != (1, self.dimension):
            raise ModelError(f"{self._file}: gives {vector.shape} where its card promises (1, {self.dimension})")

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def fingerprint(self) -> str:
        return self.card.fingerprint

    @property
    def dimension(self) -> int:
        return self.card.dimension

    @property
    def input_size(self) -> int:
        return self.card.input_size

    def describe(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Describe RGB images (h, w, 3), each on its own: (n, dimension) float32 unit rows.

        Raises
        ------
        ModelError
            The model gave a vector that is not finite or has no length.
        """
        rows = [self._runtime.run(self._input_of(image))[0] for image in images]
        vectors = np.stack(rows) if rows else np.empty((0, self.dimension), np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or (lengths == 0).any():
            raise ModelError(f"{self.name}: gave a descriptor that is not finite or has no length")
        return np.asarray(vectors / lengths, np.float32)

    def _input_of(self, image: NDArray[np.uint8]) -> NDArray[np.number]:
        pixels: NDArray[np.number] = RESIZE_RULES[self.card.resize](image, self.card.input_size)
        if self.card.input_type == "float32":
            pixels = (pixels - np.array(self.card.mean, np.float32)) / np.array(self.card.std, np.float32)
        if self.card.input_layout == "nchw":
            pixels = np.ascontiguousarray(pixels.transpose(2, 0, 1))
        return pixels[None]

    def save(self, folder: Path) -> None:
        """Copy the model and its card into a folder as ``model.onnx`` and ``model.json``."""
        shutil.copyfile(self._file, folder / MODEL_FILE)
        (folder / MODEL_FILE).with_suffix(CARD_SUFFIX).write_text(self.card.to_json(), "utf-8")
