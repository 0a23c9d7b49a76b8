"""Adversarial attacks on descriptors: the place where one is plugged in."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Protocol

from ectype.errors import MissingPackageError
from ectype.transformations.kinds import Pixels

PSNR = (20.0, 40.0)
"""From the strongest to the weakest attack, in dB."""


class Attack(Protocol):
    """Changes a picture a little, so that a descriptor takes it for another one.

    Attributes
    ----------
    fingerprint : str
        Of the features it attacks; with another one, other bytes are made.
    """

    fingerprint: str

    def attack(self, pixels: Pixels, psnr: float, seed: int) -> Pixels:
        """Attack a picture; the same arguments give the same bytes.

        Parameters
        ----------
        pixels : ndarray of uint8, shape (h, w, 3)
        psnr : float
            Peak signal-to-noise ratio that the result has to `pixels`, in dB.
        seed : int
        """
        ...


AttackMaker = Callable[[], Attack]
"""A function of a module, so that other processes can call it, too."""


@cache
def opened(maker: AttackMaker) -> Attack:
    """The attack, made once a process: it may take seconds to load."""
    return maker()


def bundled_attack() -> Attack:
    """The attack on the bundled model's descriptors, which comes with the training package.

    Raises
    ------
    MissingPackageError
        PyTorch or ONNX is not installed.
    """
    try:
        module = import_module("ectype_training.adversarial")
    except ImportError as error:
        raise MissingPackageError(
            f"adversarial attacks need gradients, and so the package {error.name}: pip install 'ectype[training]'"
        ) from error
    attack: Attack = module.DescriptorAttack.on_bundled_model()
    return attack
