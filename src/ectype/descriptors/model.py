"""An ONNX file with a card, as a descriptor model."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ectype.descriptors.card import CARD_SUFFIX, ModelCard
from ectype.descriptors.frames import framed_picture
from ectype.descriptors.insets import Inset, inset_of
from ectype.descriptors.preprocessing import RESIZE_RULES
from ectype.descriptors.runtimes import Outputs, RuntimeName, joined, open_runtime
from ectype.errors import ModelError

MODEL_FILE = "model.onnx"

_OF_AN_INSET = 2  # sides of the input that a whole must have, for what is cut out of it to have one
_IMAGES_A_CALL = 8  # of the runtime: bounds the memory that prepared inputs take


def digest_of(file: Path) -> str:
    """The sha256 of a file, in hexadecimal.

    Raises
    ------
    ModelError
        The file can't be read.
    """
    try:
        with open(file, "rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{file}: can't be read ({error.strerror}); change that, or give another file") from error


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
        The file can't be read, its digest isn't the card's, or its input or output isn't what the card says.
    """

    def __init__(self, file: Path, card: ModelCard, runtime: RuntimeName = "auto") -> None:
        digest = digest_of(file)
        if digest != card.sha256:
            raise ModelError(
                f"{file}: its sha256 is {digest}, its card says {card.sha256}; it is damaged, or the card is another's"
            )
        self.card = card
        self._file = file
        example = self.input_of(np.full((card.input_size, card.input_size, 3), 128, np.uint8))
        self._runtime = open_runtime(file, example, runtime, bfloat16=card.bfloat16)
        self._try_out(example)

    def _try_out(self, example: NDArray[np.number]) -> None:
        try:
            shapes = [output.shape for output in self._runtime.run(example)]
        except Exception as error:  # each engine has its own errors for an input it does not take
            raise ModelError(f"{self._file}: it does not take the input its card states: {error}") from error
        if shapes[0] != (1, self.dimension):
            raise ModelError(f"{self._file}: gives {shapes[0]} where its card promises (1, {self.dimension})")
        places = shapes[1] if len(shapes) > 1 else ()
        if self.card.insets and (len(places) != 3 or places[1] != places[2]):
            raise ModelError(f"{self._file}: gives {places} where its card promises likelihoods of insets (1, k, k)")

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
        looks_inside = self.card.framed_share > 0 or self.card.insets
        return self.card.input_size * (_OF_AN_INSET if looks_inside else 1)

    def describe(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Describe RGB images (h, w, 3), each on its own: (n, dimension) float32 unit rows.

        Where the card wants it, what is said of a picture in a plain frame, or inside another picture and around it, is
        mixed with what is said of the whole.

        Raises
        ------
        ModelError
            The model gave a vector that is not finite or has no length.
        """
        if not images:
            return np.empty((0, self.dimension), np.float32)
        outputs = self._infer(images)
        wholes = _unit(outputs[0], self.name)
        likelihoods = outputs[1] if self.card.insets else [None] * len(images)
        found = [self._inset_of(image, places) for image, places in zip(images, likelihoods, strict=True)]
        insets = {row: inset for row, inset in enumerate(found) if inset is not None}
        if insets:
            rows = list(insets)
            wholes[rows] = self._mixed(wholes[rows], list(insets.values()))
        return wholes

    def _mixed(self, wholes: NDArray[np.float32], insets: Sequence[Inset]) -> NDArray[np.float32]:
        """Descriptors of wholes, mixed with what is said of the inset of each and of what lies around it."""
        around = {row: inset.around for row, inset in enumerate(insets) if inset.around is not None}
        seen = _unit(self._infer([inset.pixels for inset in insets] + list(around.values()))[0], self.name)
        share = np.array([[inset.share] for inset in insets], np.float32)
        around_share = np.array([[inset.around_share] for inset in insets], np.float32)
        rest = (1 - around_share) * wholes
        rest[list(around)] += around_share[list(around)] * seen[len(insets) :]
        return _unit((1 - share) * rest + share * seen[: len(insets)], self.name)

    def _inset_of(self, image: NDArray[np.uint8], likelihoods: NDArray[np.float32] | None) -> Inset | None:
        """What the card wants to be looked for: the picture in a plain frame, or else one that the graph sees."""
        if self.card.framed_share:
            framed = framed_picture(image)
            if framed is not None:
                return Inset(framed, self.card.framed_share)
        return None if likelihoods is None else inset_of(image, likelihoods)

    def _infer(self, images: Sequence[NDArray[np.uint8]]) -> Outputs:
        groups = (images[first : first + _IMAGES_A_CALL] for first in range(0, len(images), _IMAGES_A_CALL))
        runs = [self._runtime.run(np.concatenate([self.input_of(image) for image in group])) for group in groups]
        return joined(runs)

    def input_of(self, image: NDArray[np.uint8]) -> NDArray[np.number]:
        """What the graph is given for an RGB image (h, w, 3): scaled, normalised and laid out, in a batch of one."""
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


def _unit(vectors: NDArray[np.float32], model: str) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or (lengths == 0).any():
        raise ModelError(f"{model}: gave a descriptor that is not finite or has no length")
    return np.asarray(vectors / lengths, np.float32)
