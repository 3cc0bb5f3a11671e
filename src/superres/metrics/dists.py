"""DISTS: structure and texture of two pictures compared in the features of VGG-16.

Ding et al. 2020 (arXiv 2004.07728), from torch's modules. Two files of weights, as published:
torchvision's VGG-16, and the weights of means and covariances of the package `dists-pytorch`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from superres.metrics.perceptual import load_parts

STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Channels of the convolutions between two poolings."""
CHANNELS = (3, *(widths[-1] for widths in STAGES))
"""Of what is compared: the picture itself, and what each stage ends in."""
SMALLEST_PX = 17
"""Of a smaller edge, the last stage has one position left, where nothing varies."""

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of R, G, B in [0, 1]
_STABLE = 1e-6  # the paper's c1 and c2
_LEAST = 1e-12  # below the pooling's root


class Dists(nn.Module):
    """VGG-16's convolutions and the weights, with the tensors' published names; inference alone."""

    batch_px = 2**19
    """Pixels of the restored pictures at a time; a constant, since it may move the last bits."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = CHANNELS[0]
        for widths in STAGES:
            for width in widths:
                layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU(inplace=True)]
                before = width
            layers.append(_Pooling())
        self.features = nn.Sequential(*layers[:-1])  # numbered as torchvision does
        self.alpha = nn.Parameter(torch.empty(1, sum(CHANNELS), 1, 1))
        self.beta = nn.Parameter(torch.empty(1, sum(CHANNELS), 1, 1))
        self.eval()

    def forward(self, restored: Tensor, original: Tensor) -> Tensor:
        """Return the distances: N, float32, 0 for equal pictures.

        One less the sum over layers and channels of how alike the means over the whole picture are
        (texture) and of how much the features vary together (structure), weighted by `alpha` and
        `beta`, which are divided by the sum of both.

        Args:
            restored: uint8, N x 3 x H x W, RGB, edges of at least `SMALLEST_PX`.
            original: of the same shape.
        """
        total = self.alpha.sum() + self.beta.sum()
        alphas = (self.alpha / total).flatten().split(CHANNELS)
        betas = (self.beta / total).flatten().split(CHANNELS)
        one, other = restored.to(torch.float32) / 255, original.to(torch.float32) / 255
        alike = _alike(one, other, alphas[0], betas[0])
        one, other = _normalised(one), _normalised(other)
        stage = 0
        for layer in (*self.features, None):
            if layer is None or isinstance(layer, _Pooling):
                stage += 1
                alike = alike + _alike(one, other, alphas[stage], betas[stage])
            if layer is not None:
                one, other = layer(one), layer(other)
        return 1 - alike


class _Pooling(nn.Module):
    """The root of the mean square in 3 x 3 pixels, weighted by a Hann window, every second pixel.

    In the place of VGG's maximum, which aliases.
    """

    def forward(self, x: Tensor) -> Tensor:
        window = x.new_tensor([0.25, 0.5, 0.25])
        kernel = (window[:, None] * window).expand(x.shape[1], 1, 3, 3)
        squares = functional.conv2d(x.square(), kernel, stride=2, padding=1, groups=x.shape[1])
        return (squares + _LEAST).sqrt()


def _normalised(pictures: Tensor) -> Tensor:
    mean, deviation = (pictures.new_tensor(row).reshape(3, 1, 1) for row in (_MEAN, _DEVIATION))
    return (pictures - mean) / deviation


def _alike(one: Tensor, other: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """Return what a layer adds to how alike pictures are: N."""
    means = one.mean(dim=(2, 3)), other.mean(dim=(2, 3))
    apart = [x - mean[:, :, None, None] for x, mean in zip((one, other), means, strict=True)]
    variances = sum(x.square().mean(dim=(2, 3)) for x in apart)
    covariance = (apart[0] * apart[1]).mean(dim=(2, 3))
    squares = means[0].square() + means[1].square()
    texture = (2 * means[0] * means[1] + _STABLE) / (squares + _STABLE)
    structure = (2 * covariance + _STABLE) / (variances + _STABLE)
    return (alpha * texture + beta * structure).sum(dim=1)


def load_dists(vgg: Path, weights: Path) -> Dists:
    """Return the network with the weights of two files.

    Args:
        vgg: torchvision's state dict of VGG-16; its classifier is not used.
        weights: `alpha` and `beta`, as the package `dists-pytorch` has them.

    Raises:
        SuperresError: not such files, or tensors missing, surplus or of other shapes; named.
    """
    with torch.device("meta"):  # no random weights that are thrown away
        network = Dists()
    return load_parts(
        network,
        [
            (vgg, "torchvision's VGG-16", lambda name: name.startswith("features.")),
            (weights, "DISTS", lambda name: not name.startswith("features.")),
        ],
    )
