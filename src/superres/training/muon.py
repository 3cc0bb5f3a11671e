"""Muon where torch's is slow: on processors without instructions for bf16."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Muon

from superres.core.precision import slower_than_fp32


def make_muon(
    matrices: Collection[nn.Parameter], momentum: float, weight_decay: float, device: torch.device
) -> Muon:
    """Return an optimiser of matrices whose steps are as long as AdamW's usually are.

    torch's own multiplies matrices in bf16; where a processor emulates that, the same steps are
    taken in fp32, in a twentieth of the time.

    Args:
        matrices: what it trains, each of two dimensions.
        momentum: of the gradients' running mean, which is then looked ahead by (Nesterov).
        weight_decay: per step and learning rate.
        device: where the matrices are.
    """
    kind = _Fp32Muon if slower_than_fp32("bf16", device) else Muon
    return kind(
        list(matrices),
        momentum=momentum,
        weight_decay=weight_decay,
        adjust_lr_fn="match_rms_adamw",
    )


class _Fp32Muon(Muon):
    """torch's Muon, by `match_rms_adamw`, whose products of matrices are in fp32."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Change the matrices that have gradients."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    self._change(matrix, matrix.grad, group)

    def _change(self, matrix: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state, momentum, rate = self.state[matrix], group["momentum"], group["lr"]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        running: Tensor = state["momentum_buffer"]
        running.lerp_(gradient, 1 - momentum)
        direction = _with_singular_values_alike(gradient.lerp(running, momentum), group)
        matrix.mul_(1 - rate * group["weight_decay"])
        matrix.add_(direction, alpha=-rate * 0.2 * max(matrix.shape) ** 0.5)


def _with_singular_values_alike(matrix: Tensor, group: dict[str, Any]) -> Tensor:
    """Return a matrix with its singular vectors and singular values of about 0.7 to 1.2.

    The quintic iteration of Newton and Schulz with the coefficients that `group` has from torch.
    """
    linear, cubic, quintic = group["ns_coefficients"]
    wide = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    wide = wide / wide.norm().clamp(min=group["eps"])
    for _ in range(group["ns_steps"]):
        gram = wide @ wide.T
        factor = torch.addmm(gram, gram, gram, beta=cubic, alpha=quintic)
        wide = torch.addmm(wide, factor, wide, beta=linear)
    return wide if len(matrix) <= matrix.shape[1] else wide.T
