"""Local features: small places of a picture, each with a descriptor that survives scaling, turning and light."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ectype.errors import InvalidDataError

WORDS = 128
"""Numbers in a descriptor: 4 x 4 cells of 8 directions."""

_CONTRAST = 0.02  # below OpenCV's 0.04: pale and blurred copies would have no features
_LEAST_SIDE = 16

_CELLS = np.arange(WORDS).reshape(4, 4, 8)
_MIRRORED = _CELLS[::-1][:, :, (-np.arange(8)) % 8].ravel()
_INVERTED = _CELLS[::-1, ::-1].ravel()


@dataclass(frozen=True, slots=True, eq=False)
class LocalFeatures:
    """Places of one picture, in pixels of the picture as displayed.

    Attributes
    ----------
    size : (int, int)
        Width and height of the picture.
    places : ndarray of float32, shape (n, 4)
        x, y, diameter in pixels, and direction in radians, clockwise as displayed.
    descriptors : ndarray of uint8, shape (n, 128)

    Raises
    ------
    InvalidDataError
        The arrays are not of these types and shapes.
    """

    size: tuple[int, int]
    places: NDArray[np.float32]
    descriptors: NDArray[np.uint8]

    def __post_init__(self) -> None:
        count = len(self.places)
        for name, array, kind, shape in (
            ("places", self.places, np.float32, (count, 4)),
            ("descriptors", self.descriptors, np.uint8, (count, WORDS)),
        ):
            if array.dtype != kind or array.shape != shape:
                raise InvalidDataError(
                    f"{name} of local features must be {np.dtype(kind)} {shape}, not {array.dtype} {array.shape}"
                )

    def __len__(self) -> int:
        return len(self.places)

    def mirrored(self) -> LocalFeatures:
        """Those of the picture's mirror image, left and right exchanged.

        Nothing is computed from pixels again: SIFT's cells and directions are exchanged as the mirror would.
        """
        places = self.places.copy()
        places[:, 0] = self.size[0] - places[:, 0]
        places[:, 3] = np.pi - places[:, 3]
        return LocalFeatures(self.size, places, self.descriptors[:, _MIRRORED])

    def inverted(self) -> LocalFeatures:
        """Those of the picture's negative: every gradient, and with them each place's own direction, turns round."""
        places = self.places.copy()
        places[:, 3] += np.pi
        return LocalFeatures(self.size, places, self.descriptors[:, _INVERTED])


class SiftExtractor:
    """SIFT (Lowe, IJCV 2004) from OpenCV, on a picture scaled to a fixed size.

    Parameters
    ----------
    longest : int
        Pixels of the longer side at which features are looked for; larger pictures are scaled down.
    most : int
        Features of a picture, the strongest.
    """

    def __init__(self, longest: int, most: int) -> None:
        self._longest, self._most = longest, most
        self._of_thread = threading.local()

    def extract(self, pixels: NDArray[np.uint8], size: tuple[int, int]) -> LocalFeatures:
        """Find a picture's local features.

        Parameters
        ----------
        pixels : ndarray of uint8, shape (h, w, 3)
        size : (int, int)
            Width and height of the picture in whose pixels places are given; `pixels` may be scaled down.
        """
        import cv2

        width, height = size
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        scale = min(1.0, self._longest / max(grey.shape))
        small = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
        if min(small) < _LEAST_SIDE:
            return _none(size)
        if scale < 1:
            grey = cv2.resize(grey, small, interpolation=cv2.INTER_AREA)
        keypoints, descriptors = self._sift().detectAndCompute(grey, None)
        if descriptors is None:
            return _none(size)
        keypoints, descriptors = (
            keypoints[: self._most],
            descriptors[: self._most],
        )  # OpenCV keeps all that tie for the last
        places = np.array([(*point.pt, point.size, np.deg2rad(point.angle)) for point in keypoints], np.float32)
        places[:, :2] += 0.5  # OpenCV counts from the centre of the first pixel
        places[:, :2] *= (width / small[0], height / small[1])
        places[:, 2] *= max(width, height) / max(small)
        return LocalFeatures(size, places, descriptors.astype(np.uint8))

    def _sift(self) -> Any:
        import cv2

        if not hasattr(self._of_thread, "sift"):
            self._of_thread.sift = cv2.SIFT_create(  # type: ignore[attr-defined]
                self._most, 3, _CONTRAST, enable_precise_upscale=True
            )
        return self._of_thread.sift


def _none(size: tuple[int, int]) -> LocalFeatures:
    return LocalFeatures(size, np.empty((0, 4), np.float32), np.empty((0, WORDS), np.uint8))
