"""From a feature map to a descriptor: GeM pooling and PCA whitening."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional


class GeM(nn.Module):
    """Generalised-mean pooling (Radenovic et al., TPAMI 2019): (n, c, h, w) to (n, c)."""

    def __init__(self, power: float = 3.0) -> None:
        super().__init__()
        self.power = power

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(min=1e-6).pow(self.power).mean((2, 3)).pow(1 / self.power)


def fit_whitening(
    features: NDArray[np.float32], dimension: int, strength: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fit PCA whitening on unit rows (Jegou and Chum, ECCV 2012).

    Parameters
    ----------
    features : ndarray of float32, shape (n, c)
        Pooled features, each row of unit length.
    dimension : int
        Components to keep.
    strength : float
        0 keeps the variances as they are (PCA), 1 makes them equal (whitening).

    Returns
    -------
    matrix : ndarray of float32, shape (dimension, c)
    bias : ndarray of float32, shape (dimension,)
        ``matrix @ x + bias`` is the whitened row.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    covariance = np.cov(features.T.astype(np.float64))
    values, vectors = np.linalg.eigh(covariance)
    order = np.argsort(values)[::-1][:dimension]
    scale = (values[order] / values[order[0]]) ** (-strength / 2)
    matrix = vectors[:, order].T * scale[:, None]
    return matrix.astype(np.float32), (-matrix @ mean).astype(np.float32)


class Descriptor(nn.Module):
    """The whole model: uint8 images (n, s, s, 3) in, unit float32 descriptors (n, d) out."""

    def __init__(
        self,
        backbone: nn.Module,
        pooling: nn.Module,
        whitening: tuple[NDArray[np.float32], NDArray[np.float32]],
        mean: float,
        std: float,
    ) -> None:
        super().__init__()
        self.backbone, self.pooling = backbone, pooling
        self.mean, self.std = mean, std
        matrix, bias = whitening
        self.whiten = nn.Linear(matrix.shape[1], matrix.shape[0])
        self.whiten.weight.data = torch.from_numpy(matrix)
        self.whiten.bias.data = torch.from_numpy(bias)

    def forward(self, images: Tensor) -> Tensor:
        x = (images.permute(0, 3, 1, 2).float() - self.mean) / self.std
        x = functional.normalize(self.pooling(self.backbone(x)))
        return functional.normalize(self.whiten(x))
