"""What a linear estimate of clean from noisy pixels already knows, so that a network need not.

Were the diffused signal Gaussian around zero with a local variance s2, its posterior mean given
x_t = alpha x0 + sigma noise would be Wiener's k x_t with k = alpha s2 / (alpha^2 s2 + sigma^2). The
network says s2 per pixel, for luma and for chroma, and what to add to that estimate, scaled by
sqrt(1 - alpha k): everything where all is noise, nothing where x_t is clean. Small networks,
above all behind a pixel-unshuffle, cannot copy their input exactly; here they need not.

With one variance for all pixels and channels this is the preconditioning of Karras et al. 2022
("Elucidating the design space", section 5), whose data variance is a constant.
"""

from __future__ import annotations

import torch
from torch import Tensor

EXTRA_CHANNELS = 2
"""Channels that a network needs beside its prediction: log-variance of luma and of chroma."""


def split_luma(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean over the channels, (B, 1, H, W), and what differs from it, as `x`."""
    luma = x.mean(dim=1, keepdim=True)
    return luma, x - luma


def wiener(output: Tensor, x_t: Tensor, alpha_cumprod: Tensor) -> Tensor:
    """Return a prediction of x0 from a raw output.

    Args:
        output: (B, 3 + n + 2, H, W): what to add, n channels that are passed on, log-variances.
        x_t: noisy signal, (B, 3, H, W).
        alpha_cumprod: signal's share of the variance, alpha^2, (B, 1, 1, 1), in (0, 1).

    Returns:
        (B, 3 + n, H, W).
    """
    added, passed, log_variance = output.split([3, output.shape[1] - 5, EXTRA_CHANNELS], dim=1)
    # alpha k = alpha^2 s2 / (alpha^2 s2 + sigma^2), as a sigmoid, since exp could overflow.
    log_ratio = log_variance + alpha_cumprod.logit()
    gain = log_ratio.sigmoid() / alpha_cumprod.sqrt()
    rest = (-log_ratio).sigmoid().sqrt()
    (known, known_chroma), (new, new_chroma) = split_luma(x_t), split_luma(added)
    x0 = gain[:, 1:] * known_chroma
    x0 = x0.addcmul_(rest[:, 1:], new_chroma)
    x0 += gain[:, :1] * known + rest[:, :1] * new
    return torch.cat([x0, passed], dim=1)
