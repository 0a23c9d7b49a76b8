"""Model files on this machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from ectype.descriptors.card import CARD_SUFFIX, ModelCard, read_card
from ectype.descriptors.model import MODEL_FILE, digest_of
from ectype.errors import ModelError


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model file with its card.

    Attributes
    ----------
    card : ModelCard
    file : Path
        The ONNX file.
    bundled : bool
        Whether it came with Ectype; it is then the default.
    """

    card: ModelCard
    file: Path
    bundled: bool = False

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def size(self) -> int:
        """Of the ONNX file, in bytes."""
        return self.file.stat().st_size

    def is_sound(self) -> bool:
        """Whether the ONNX file is the one that its card describes, by its digest."""
        return digest_of(self.file) == self.card.sha256


def installed_model(file: Path) -> InstalledModel:
    """A model file with the card beside it.

    Raises
    ------
    ModelError
        One of the two is missing, or the card is damaged.
    """
    if not file.is_file():
        raise ModelError(f"{file}: there is no such model file")
    return InstalledModel(read_card(file.with_suffix(CARD_SUFFIX)), file)


def bundled_model() -> InstalledModel:
    """The model that came with Ectype."""
    folder = Path(str(resources.files("ectype.descriptors") / "bundled"))
    return replace(installed_model(folder / MODEL_FILE), bundled=True)
