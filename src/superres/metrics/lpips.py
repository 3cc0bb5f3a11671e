"""LPIPS: the distance of two pictures in the features of AlexNet, weighted as people judge them.

Zhang et al. 2018 (arXiv 1801.03924), version 0.1, from torch's modules. Two files of weights, as
published: torchvision's AlexNet, and the linear weights of the package `lpips`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from superres.metrics.perceptual import load_parts

CHANNELS = (64, 192, 384, 256, 256)
"""Of the five layers that are compared."""
SMALLEST_PX = 31
"""Of a smaller edge, AlexNet's second pooling has nothing left to pool."""

_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of R, G, B in [-1, 1]
_EPSILON = 1e-10


class Lpips(nn.Module):
    """The five layers and their weights, with the tensors' published names; inference alone."""

    batch_px = 2**21
    """Pixels of the restored pictures at a time; a constant, since it may move the last bits."""

    def __init__(self) -> None:
        super().__init__()
        one, two, three, four, five = CHANNELS
        self.features = nn.Sequential(
            *(nn.Conv2d(3, one, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2)),
            *(nn.Conv2d(one, two, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2)),
            *(nn.Conv2d(two, three, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(three, four, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(four, five, 3, padding=1), nn.ReLU()),
        )
        for number, width in enumerate(CHANNELS):
            # In the first place stood a dropout, which training alone had.
            layers = nn.Sequential(nn.Identity(), nn.Conv2d(width, 1, 1, bias=False))
            self.add_module(f"lin{number}", nn.ModuleDict({"model": layers}))
        self.eval()

    def forward(self, restored: Tensor, original: Tensor) -> Tensor:
        """Return the distances: N, float32, 0 for equal pictures.

        Equation 1 of the paper: unit vectors over the channels, squared differences weighted by
        channel, mean over positions, sum over layers.

        Args:
            restored: uint8, N x 3 x H x W, RGB, edges of at least `SMALLEST_PX`.
            original: of the same shape.
        """
        distance = torch.zeros(len(restored), device=restored.device)
        layers = zip(self._layers(restored), self._layers(original), strict=True)
        for number, (one, other) in enumerate(layers):
            weights = self.get_submodule(f"lin{number}.model")
            distance = distance + weights((one - other) ** 2).mean(dim=(1, 2, 3))
        return distance

    def _layers(self, pictures: Tensor) -> list[Tensor]:
        """Return what the five rectifiers give, of length 1 at each position."""
        x = prepare(pictures)
        found = []
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                found.append(x / (x.square().sum(dim=1, keepdim=True).sqrt() + _EPSILON))
        return found


def prepare(pictures: Tensor) -> Tensor:
    """Return pictures (uint8, N x 3 x H x W) as the network sees them: float32.

    Scaled to [-1, 1], then by channel (x - shift) / scale.
    """
    scaled = pictures.to(torch.float32) / 127.5 - 1
    return (scaled - _by_channel(_SHIFT, scaled)) / _by_channel(_SCALE, scaled)


def _by_channel(values: tuple[float, ...], like: Tensor) -> Tensor:
    return like.new_tensor(values).reshape(3, 1, 1)


def load_lpips(alexnet: Path, linear: Path) -> Lpips:
    """Return the network with the weights of two files.

    Args:
        alexnet: torchvision's state dict; its classifier is not used.
        linear: the state dict of the package `lpips`.

    Raises:
        SuperresError: not such files, or tensors missing, surplus or of other shapes; named.
    """
    with torch.device("meta"):  # no random weights that are thrown away
        network = Lpips()
    return load_parts(
        network,
        [
            (alexnet, "torchvision's AlexNet", lambda name: name.startswith("features.")),
            (linear, "LPIPS's linear layers on AlexNet", lambda name: name.startswith("lin")),
        ],
    )
