"""A network joined with its diffusion, and the same given the pictures of one batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from superres.core.errors import SuperresError
from superres.core.precision import PRECISIONS, Computing, evaluated, keep_rounded
from superres.diffusion.preconditioning import EXTRA_CHANNELS, wiener
from superres.diffusion.prediction import drive, posterior_mean
from superres.diffusion.process import GaussianDiffusion
from superres.diffusion.schedule import make_betas
from superres.diffusion.variational import Levels
from superres.model.signal_space import SIGNALS, Signal
from superres.model.spec import ModelSpec
from superres.networks.conditions import drop_entropies, drop_low
from superres.networks.protocol import Network
from superres.networks.registry import build_network

Dropped = Mapping[str, Tensor | bool]
"""By condition, `low` or `entropies`: whether it is withheld from the network, or from which
pictures of the batch, (B,)."""


class SuperResolver:
    """A network with its diffusion: what training, sampling and restoring build on.

    Args:
        spec: the description.
        network: built from it; by default a new one.

    Attributes:
        network: as it is evaluated; training may put one in its place that wraps it.
        unwrapped: the network itself.
        size_multiple: see `Network`.

    Raises:
        SuperresError: a configuration that no network can be built from.
    """

    def __init__(self, spec: ModelSpec, network: Network | None = None) -> None:
        self.spec = spec
        settings = spec.diffusion
        try:
            self.diffusion = GaussianDiffusion(
                make_betas(settings.schedule, settings.timesteps),
                settings.prediction,
                settings.variance,
                model_timesteps_scale=(
                    1000 / settings.timesteps if settings.rescale_timesteps else None
                ),
            )
            channels = SIGNALS[settings.target].channels
            out_channels = 2 * channels if self.diffusion.learns_variance else channels
            if settings.preconditioning == "wiener":
                out_channels += EXTRA_CHANNELS
            built = network or build_network(
                spec.model,
                scale=spec.scale,
                channels=channels,
                out_channels=out_channels,
                entropies=len(spec.entropies),
                classes=spec.classes,
            )
        except ValueError as error:
            raise SuperresError(f"model or diffusion params: {error}") from error
        assert isinstance(built, nn.Module)
        self.network: nn.Module = built
        self.unwrapped: Network = built
        self.sees_log_noise = built.sees_log_noise
        self.size_multiple = built.size_multiple
        self.device = torch.device("cpu")
        self._evaluated: Callable[..., Tensor] | None = None
        self._dtype: torch.dtype | None = None

    def compute(self, how: Computing) -> SuperResolver:
        """Have the network evaluated in another precision, or compiled; return self.

        Its weights are rounded for good.
        """
        keep_rounded(self.network, how)
        self._evaluated = evaluated(self.network, how)
        self._dtype = PRECISIONS[how.precision]
        return self

    def autocast(self) -> AbstractContextManager[object]:
        """Return a context of the model's precision; training has one of its own around it."""
        if self._dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, self._dtype)

    def to(self, device: torch.device) -> SuperResolver:
        """Move network and tables to a device, channels last; return self."""
        self.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.diffusion.to(device)
        self.device = device
        return self

    def condition(
        self, low: Tensor, entropy: Tensor, drop: Dropped | Sequence[str] = ()
    ) -> Conditioned:
        """Return the model given what a batch of pictures is restored from.

        Args:
            low: low-resolution pictures in [-1, 1], (B, 3, h, w), on the model's device.
            entropy: corruption entropies, (B, K), in the model's order.
            drop: conditions withheld from the network, from all pictures or from some; what is
                diffused is related to `low` all the same.

        Raises:
            ValueError: no such condition.
        """
        return Conditioned(self, low, entropy, drop)

    def check_droppable(self, drop: Sequence[str]) -> None:
        """Refuse guidance away from a network without conditions that it always had in training.

        Raises:
            ValueError: naming the first.
        """
        for name in drop:
            if name not in self.spec.dropped:
                raise ValueError(
                    f"guidance cannot drop {name!r}: the model was trained with "
                    f"{' and '.join(self.spec.dropped) or 'nothing'} dropped (train.drop)"
                )

    def size(self, low: Tensor) -> tuple[int, int]:
        """Return the height and width of the restored pictures."""
        return low.shape[-2] * self.spec.scale, low.shape[-1] * self.spec.scale

    def signal(self, low: Tensor, conditions: Callable[[], Any] | None = None) -> Signal:
        """Return what is diffused for pictures that are restored from these, (B, 3, h, w).

        Args:
            low: low-resolution pictures in [-1, 1].
            conditions: returns what `Signal.needs` of the network's conditions; none where nothing
                is needed.
        """
        settings = self.spec.diffusion
        return SIGNALS[settings.target](settings, low, self.size(low), conditions or tuple)

    @property
    def channels(self) -> int:
        """C of what is diffused."""
        return SIGNALS[self.spec.diffusion.target].channels

    @property
    def needs(self) -> tuple[str, ...]:
        """What the signal needs of the network's conditions, by name; see `Signal.needs`."""
        return SIGNALS[self.spec.diffusion.target].needs

    @property
    def knows_mean(self) -> bool:
        """Whether the network says the posterior's mean without an evaluation of the denoiser."""
        return "mean" in self.needs

    def check_pairs(self, scale: int, entropies: Sequence[str], folder: str | Path) -> None:
        """Refuse inputs of another scale or with other entropies than the model knows.

        Raises:
            SuperresError: naming the model's folder and what differs.
        """
        if (self.spec.scale, self.spec.entropies) != (scale, list(entropies)):
            raise SuperresError(
                f"{folder}: the model restores scale {self.spec.scale} with the entropies "
                f"{self.spec.entropies}; the pairs have scale {scale} with {list(entropies)}"
            )

    def parameters(self) -> int:
        """Return the number of weights."""
        return sum(weight.numel() for weight in self.network.parameters())


class Conditioned:
    """A model given a batch of pictures and entropies; see `SuperResolver.condition`.

    It is the denoiser that the diffusion wants, and says what is diffused for these pictures. What
    depends on the conditions alone is computed when it is first needed, and once.

    Attributes:
        shape: of what is diffused, (B, C, H, W).
    """

    def __init__(
        self, model: SuperResolver, low: Tensor, entropy: Tensor, drop: Dropped | Sequence[str] = ()
    ) -> None:
        drop = drop if isinstance(drop, Mapping) else dict.fromkeys(drop, True)
        if unknown := set(drop) - {"low", "entropies"}:
            raise ValueError(f"conditions are low and entropies, got {', '.join(sorted(unknown))}")
        self._model = model
        self._network = model._evaluated or model.network
        self._low = drop_low(low, drop.get("low", False))
        self._entropy = drop_entropies(entropy, drop.get("entropies", False))
        self._size = model.size(low)
        self._given = low, entropy
        self._signal = model.signal(low, lambda: self.conditions)
        self.shape = (low.shape[0], model.channels, *self._size)

    def lightened(self) -> Conditioned:
        """Return the same, to be kept for many evaluations of the denoiser and nothing else.

        What the network's `lighten` leaves of its conditions takes half of the memory or less.
        """
        lighter = Conditioned(self._model, *self._given)
        lighter.conditions = self._model.unwrapped.lighten(self.conditions)
        return lighter

    def first(self, count: int) -> Conditioned:
        """Return the same of the first pictures alone; conditions are computed for all of them."""
        if count >= len(self._low):
            return self
        low, entropy = self._given
        part = Conditioned(self._model, low[:count], entropy[:count])
        part._low, part._entropy = self._low[:count], self._entropy[:count]
        make = getattr(self.conditions, "_make", tuple)  # named where the network names them
        part.conditions = make(condition[:count] for condition in self.conditions)
        return part

    def without(self, drop: Sequence[str]) -> Conditioned:
        """Return the same model and pictures with conditions withheld from the network.

        Raises:
            ValueError: a condition that training never withheld.
        """
        self._model.check_droppable(drop)
        return Conditioned(self._model, *self._given, drop)

    @property
    def diffusion(self) -> GaussianDiffusion:
        """The process that the network was trained on."""
        return self._model.diffusion

    @cached_property
    def conditions(self) -> tuple[Any, ...]:
        """What the network's `prepare` says of these pictures, in the model's precision."""
        label = self._model.spec.label
        labels = None if label is None else torch.full((len(self._low),), label)
        with self._model.autocast():
            return self._model.unwrapped.prepare(self._low, self._size, self._entropy, labels)

    def __call__(self, x_t: Tensor, timesteps: Tensor) -> Tensor:
        """Return the network's output as the diffusion reads it.

        Args:
            x_t: noisy signal, (B, C, H, W).
            timesteps: as the network was trained to see them, (B,).

        Returns:
            (B, C or 2C, H, W).
        """
        model = self._model
        if model.sees_log_noise:
            share = model.diffusion.at("alphas_cumprod", self._indices(timesteps), x_t)
            return self._network(x_t, -0.5 * share.logit().flatten(), *self.conditions)
        output = self._network(x_t, timesteps, *self.conditions)
        if model.spec.diffusion.preconditioning == "none":
            return output
        share = model.diffusion.at("alphas_cumprod", self._indices(timesteps), x_t)
        return wiener(output, x_t, share)

    def _indices(self, timesteps: Tensor) -> Tensor:
        """Return the process's own timesteps for those that the network was trained to see."""
        scale = self._model.diffusion.model_timesteps_scale
        return timesteps if scale is None else (timesteps / scale).round().long()

    def encode(self, high: Tensor) -> Tensor:
        """Return what is diffused, (B, C, H, W), for originals in [-1, 1], (B, 3, H, W)."""
        return self._signal.encode(high)

    def decode(self, x: Tensor) -> Tensor:
        """Return pictures, (B, 3, H, W), from what is diffused; the inverse of `encode`."""
        return self._signal.decode(x)

    def clip(self, x0: Tensor) -> Tensor:
        """Return predictions of what is diffused, limited so that pictures are in [-1, 1]."""
        return self._signal.clip(x0)

    def levels(self, high: Tensor) -> Levels:
        """Return where the 8-bit levels of originals lie in what is diffused for them."""
        return self._signal.levels(high)

    def mean(self) -> Tensor:
        """Return the posterior's mean, in [-1, 1], (B, 3, H, W), where it takes no denoiser.

        Raises:
            ValueError: it does; see `SuperResolver.knows_mean`.
        """
        mean = self._signal.mean()
        if mean is None:
            raise ValueError("finishing a sample needs a network that knows the mean")
        return mean

    @torch.no_grad()
    def estimate(self, draw: Callable[[], Tensor]) -> Tensor:
        """Return the posterior's mean in one evaluation, in [-1, 1], (B, 3, H, W).

        At the noisiest timestep x_t holds next to nothing of the picture, so the least-squares x0
        is the mean of the posterior given the conditions alone.

        Args:
            draw: source of noise of `shape`, drawn from once, or not where the network says the
                mean without noise.
        """
        if (mean := self._signal.mean()) is not None:
            return mean
        sampler = posterior_mean(self._model.diffusion, draw(), self._signal.clip)
        return self.decode(drive(sampler, self))
