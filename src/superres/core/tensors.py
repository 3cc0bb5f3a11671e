"""Between stored pictures (uint8, N x H x W x 3) and what networks see (float32 in [-1, 1])."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

WITHOUT_DOUBLES = {"mps"}
"""Kinds of devices that have no float64."""


def moved(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Return a tensor on a device, float64 as float32 where the device has none."""
    if tensor.dtype == torch.float64 and torch.device(device).type in WITHOUT_DOUBLES:
        tensor = tensor.float()
    return tensor.to(device)


def to_signal(pictures: np.ndarray | Tensor, device: torch.device | str = "cpu") -> Tensor:
    """Return uint8 pictures, (N, H, W, 3), as float32 in [-1, 1], (N, 3, H, W), channels last."""
    if isinstance(pictures, np.ndarray):
        pictures = torch.from_numpy(np.ascontiguousarray(pictures))
    tensor = pictures.to(device, non_blocking=True)
    return tensor.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def to_pictures(signal: Tensor) -> np.ndarray:
    """Return float pictures in [-1, 1], (N, 3, H, W), as uint8, (N, H, W, 3): clipped, rounded."""
    return to_levels(signal).cpu().numpy()


def to_levels(signal: Tensor) -> Tensor:
    """Return the same on the signal's device, for which nobody waits."""
    levels = signal.float().add(1).mul(127.5).round_().clamp_(0, 255)
    return levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous()
