"""What training, sampling and restoring want of a network, whatever it is inside."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class Network(Protocol):
    """A `torch.nn.Module` that predicts from noisy signals, low-resolution pictures and entropies.

    Attributes:
        size_multiple: height and width that it computes with are multiples of this; others are
            padded.
        entropies: number K of corruption entropies that it is conditioned on.
        classes: number of classes that it is conditioned on; None for no such condition.
        activation_checkpointing: recompute the activations of `shard_blocks` in the backward pass.
        sees_log_noise: whether it is given log(sigma / alpha) in the place of the timesteps.
    """

    size_multiple: int
    entropies: int
    classes: int | None
    activation_checkpointing: bool
    sees_log_noise: bool

    def shard_blocks(self) -> Iterable[nn.Module]:
        """Return the parts that hold most weights, in the order in which they are evaluated.

        Weights are divided among processes, and activations recomputed, by these parts.
        """

    def block_convolutions(self) -> Collection[str]:
        """Return the names of the weights of the convolutions between hidden layers.

        Muon trains these, whose inputs and outputs are features; see `train.muon`.
        """

    def entropy_inputs(self) -> Mapping[str, tuple[int, int]]:
        """Return which inputs of which weights are entropies, at the end of the inputs.

        By the weight's name: its first input (dimension 1) that is one, and how many each
        entropy has.
        """

    def without_entropies(
        self, weights: Mapping[str, Tensor], places: Collection[int]
    ) -> dict[str, Tensor]:
        """Return a network's weights, of this kind, with some of its entropies always 0.

        Args:
            weights: of a network of the same size with more entropies.
            places: of those that go, among its entropies.
        """

    def distilled(self) -> Iterable[str]:
        """Return the names of the weights that a distillation trains.

        All that the evaluations repeated in sampling use; what is evaluated once may stay.
        """

    def prepare(
        self, low: Tensor, size: tuple[int, int], entropy: Tensor, label: Tensor | None = None
    ) -> tuple[Any, ...]:
        """Return what depends on the conditions alone, computed once for all evaluations.

        Args:
            low: low-resolution pictures in [-1, 1], (B, 3, h, w).
            size: height and width (H, W) of the restored pictures.
            entropy: corruption entropies in [0, 1], (B, K), in the model's order.
            label: classes, (B,), or None for no class in particular.
        """

    def lighten(self, conditions: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return what `__call__` needs of conditions, in less memory where that is possible."""

    def __call__(self, x: Tensor, timesteps: Tensor, *conditions: Any) -> Tensor:
        """Predict.

        Args:
            x: noisy signal, (B, C, H, W).
            timesteps: (B,); see `sees_log_noise`.
            conditions: what `prepare` returned.

        Returns:
            (B, output channels, H, W).
        """
