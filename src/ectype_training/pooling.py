"""From a feature map to one vector."""

from __future__ import annotations

from torch import Tensor, nn


class GeM(nn.Module):
    """Generalised-mean pooling (Radenovic et al., TPAMI 2019): (n, c, h, w) to (n, c)."""

    def __init__(self, power: float = 3.0) -> None:
        super().__init__()
        self.power = power

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(min=1e-6).pow(self.power).mean((2, 3)).pow(1 / self.power)
