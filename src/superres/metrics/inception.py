"""The network behind every published FID: TensorFlow's Inception of December 2015.

Heusel et al. 2017 (arXiv 1706.08500) measured with the weights of `inception-2015-12-05.tgz`; this
is that network from torch's modules, and it loads their conversion by pytorch-fid
(`pt_inception-2015-12-05-6726825d.pth`), which torch-fidelity uses too. Of what it differs in from
torchvision's Inception v3 (weights, pooling, 1008 classes, resizing), each moves an FID by units.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from superres.core.errors import SuperresError
from superres.core.state_dicts import tensor_faults
from superres.metrics.inception_blocks import (
    Block8,
    Block17,
    Block35,
    Convolution,
    Reduction8,
    Reduction17,
    halved,
)

SIZE = 299
"""Edge in pixels of what the network sees."""
CLASSES = 1008
LAYERS = ("64", "192", "768", "2048", "logits_unbiased")
"""Features by their number, as torch-fidelity names them; `2048` is what FID is made of."""
PREPROCESSING = f"uint8 RGB, TensorFlow-1 bilinear to {SIZE} x {SIZE} px, (x - 128) / 128"
"""What happens to a picture first: its name in every output."""


class Inception(nn.Module):
    """The network up to its pooled features and logits; always in inference mode."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Convolution(32, 32, 3)
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = Convolution(80, 192, 3)
        self.Mixed_5b = Block35(192, pooled=32)
        self.Mixed_5c = Block35(256, pooled=64)
        self.Mixed_5d = Block35(288, pooled=64)
        self.Mixed_6a = Reduction17(288)
        self.Mixed_6b = Block17(inner=128)
        self.Mixed_6c = Block17(inner=160)
        self.Mixed_6d = Block17(inner=160)
        self.Mixed_6e = Block17(inner=192)
        self.Mixed_7a = Reduction8()
        self.Mixed_7b = Block8(1280, maximum=False)
        self.Mixed_7c = Block8(2048, maximum=True)
        self.fc = nn.Linear(2048, CLASSES)
        self.eval()

    def forward(self, prepared: Tensor, layers: Sequence[str] = ("2048",)) -> dict[str, Tensor]:
        """Return features by name.

        Args:
            prepared: N x 3 x 299 x 299, from `prepare`, of the network's type.
            layers: names out of `LAYERS`.

        Returns:
            Means over positions, N x 64, 192, 768 or 2048; `logits_unbiased`, N x 1008, are the
            class scores without the last layer's bias.
        """
        features = {}
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(prepared)))
        features["64"] = x = halved(x)
        features["192"] = x = halved(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)))
        x = self.Mixed_6a(self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x))))
        features["768"] = x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        features["2048"] = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        means = {name: feature.mean(dim=(2, 3)) for name, feature in features.items()}
        means["logits_unbiased"] = means["2048"] @ self.fc.weight.T
        return {name: means[name] for name in layers}


def prepare(pictures: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return pictures (uint8, N x 3 x H x W, RGB) as the network sees them: see `PREPROCESSING`."""
    return (resize_like_tensorflow1(pictures.to(dtype), (SIZE, SIZE)) - 128) / 128


def resize_like_tensorflow1(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    """Return pictures resized as `tf.image.resize_bilinear` of TensorFlow 1 did.

    A pixel's position is its index times the ratio of sizes: no half-pixel offset, which later
    versions have, and no smoothing before shrinking.

    Args:
        pictures: floating point, N x C x H x W.
        size: height and width in pixels of the result.
    """
    for axis, length in ((2, size[0]), (3, size[1])):
        old = pictures.shape[axis]
        places = torch.arange(length, dtype=pictures.dtype, device=pictures.device)
        places = places * (old / length)
        below = places.long().clamp_(max=old - 1)
        above = (below + 1).clamp_(max=old - 1)
        share = (places - below).reshape(-1, *(1,) * (3 - axis))
        first, second = pictures.index_select(axis, below), pictures.index_select(axis, above)
        pictures = first + (second - first) * share
    return pictures


def load_inception(path: str | Path) -> Inception:
    """Return the network with the weights of a file.

    Args:
        path: a state dict that torch can load without running code from it.

    Raises:
        SuperresError: not such a file, or tensors missing, surplus or of other shapes; named.
    """
    state = _read_state(Path(path))
    with torch.device("meta"):  # no random weights that are thrown away
        network = Inception()
    wanted = network.state_dict()
    if faults := tensor_faults(state, wanted):
        raise SuperresError(
            f"{path}: not the weights of the 2015 Inception network: {'; '.join(faults)}"
        )
    network.load_state_dict(
        {name: _laid_out(tensor.to(wanted[name].dtype)) for name, tensor in state.items()},
        assign=True,
    )
    return network.requires_grad_(False).eval()


def _laid_out(tensor: Tensor) -> Tensor:
    """Return the same tensor with its channels last: a third faster on CPUs."""
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise SuperresError(f"{path}: not found") from None
    except Exception as error:  # whatever a damaged archive makes torch, zipfile or pickle raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SuperresError(
            f"{path}: not a file of weights that torch can load: {reason}"
        ) from None
    if not isinstance(state, dict) or not all(isinstance(t, Tensor) for t in state.values()):
        raise SuperresError(f"{path}: must hold a state dict (names to tensors)")
    return state
