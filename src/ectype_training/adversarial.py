"""Attacks on a descriptor: changes that are hard to see, and push a picture's descriptor away from where it was.

Projected gradient descent on a sphere of one noise power (Madry et al., "Towards deep learning models resistant to
adversarial attacks", ICLR 2018, there in a ball), by the gradient of an open model. The Image Similarity Challenge used
such edits, made against features that anyone could have.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ectype.descriptors.installed import bundled_model
from ectype.errors import UsageError
from ectype_training.student import Student

STEPS = 6
STEP = 0.5
"""Length of a step, in radii of the sphere."""

_ROUNDS = 12  # of bisection to the wanted noise power, once pixels are whole numbers
_PEAK = 255.0

Pixels = NDArray[np.uint8]


class DescriptorAttack:
    """Attacks the descriptors of one model.

    Parameters
    ----------
    student : Student
    size : int
        Pixels a side that it looks at.
    fingerprint : str
        Of the model.
    """

    def __init__(self, student: Student, size: int, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self._student = student.eval().requires_grad_(False)
        self._size = size

    @classmethod
    def on_bundled_model(cls) -> DescriptorAttack:
        """The attack on the descriptors of the model that comes with Ectype.

        Raises
        ------
        ModelError
            The model is of another architecture.
        """
        model = bundled_model()
        return cls(Student.from_onnx(model.file), model.card.input_size, model.card.sha256)

    def attack(self, pixels: Pixels, psnr: float, seed: int) -> Pixels:
        """Push a picture's descriptor away from where it is.

        Parameters
        ----------
        pixels : ndarray of uint8, shape (h, w, 3)
        psnr : float
            Peak signal-to-noise ratio of the result, in dB; it is higher only where pixels can't change so much.
        seed : int
            Of the noise that the attack begins with.

        Returns
        -------
        ndarray of uint8, shape (h, w, 3)

        Raises
        ------
        UsageError
            `psnr` is not above 0.
        """
        if not psnr > 0:
            raise UsageError(f"a signal-to-noise ratio of pictures is above 0 dB, not {psnr}")
        power = _PEAK**2 / 10 ** (psnr / 10)
        with _one_thread():  # more would add up in another order
            change = self._change(torch.from_numpy(np.array(pixels)), power, seed)
        return _with_power(pixels, change, power)

    def _change(self, pixels: Tensor, power: float, seed: int) -> NDArray[np.float32]:
        original = pixels.float()
        radius = (power * original.numel()) ** 0.5
        noise = torch.randn(original.shape, generator=torch.Generator().manual_seed(seed))
        change = noise * (radius / noise.norm())
        with torch.no_grad():
            target = self._describe(original)
        for _ in range(STEPS):
            change.requires_grad_(True)
            similarity = (self._describe((original + change).clamp(0, _PEAK)) * target).sum()
            (slope,) = torch.autograd.grad(similarity, change)
            change = change.detach() - slope * (STEP * radius / slope.norm().clamp(min=1e-12))
            change = change * (radius / change.norm())
        return change.numpy()

    def _describe(self, picture: Tensor) -> Tensor:
        """Descriptor (1, d) of a float picture (h, w, 3), scaled nearly as `ectype.descriptors.preprocessing` does."""
        batch = picture.permute(2, 0, 1)[None]
        small = functional.interpolate(batch, (self._size, self._size), mode="bilinear", antialias=True)
        described: Tensor = self._student(small.permute(0, 2, 3, 1))
        return described


def _with_power(pixels: Pixels, change: NDArray[np.float32], power: float) -> Pixels:
    """Add a change so that the mean square of what came of it, in whole numbers from 0 to 255, is `power`."""
    low, high = 0.0, 4.0
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        if _power(pixels, _added(pixels, middle * change)) < power:
            low = middle
        else:
            high = middle
    return _added(pixels, high * change)


def _added(pixels: Pixels, change: NDArray[np.float32]) -> Pixels:
    return np.clip(np.rint(pixels + change), 0, _PEAK).astype(np.uint8)


def _power(before: Pixels, after: Pixels) -> float:
    return float(np.square(after.astype(np.float32) - before).mean())


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
