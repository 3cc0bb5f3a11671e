"""A trained model on disk, and in memory: a network joined with its diffusion.

A model folder holds `weights.safetensors` and `model.json`: the network's and the diffusion's
configuration, the scale, the entropies' names in order, how inputs were degraded, and where the
model came from. Nothing else is needed to use it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, ValidationError, ValidationInfo, field_validator
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from superres.core.errors import SuperresError
from superres.core.params import Section
from superres.core.precision import Computing, evaluated
from superres.core.storage import replacing_folder, write_json
from superres.core.tensor_faults import tensor_faults
from superres.diffusion.config import DiffusionParams
from superres.diffusion.preconditioning import EXTRA_CHANNELS, wiener
from superres.diffusion.process import Clip, Denoiser, GaussianDiffusion
from superres.diffusion.schedule import make_betas
from superres.diffusion.variational import Levels
from superres.networks.conditional_unet import SuperResUNet, upsample
from superres.networks.conditions import drop_entropies, drop_low
from superres.networks.config import Condition, ModelParams
from superres.sampling.guidance import guided

WEIGHTS = "weights.safetensors"
DESCRIPTION = "model.json"


class ModelSpec(Section):
    """Everything about a model but its weights."""

    format: Literal["superres-1"]
    model: ModelParams
    diffusion: DiffusionParams
    scale: Annotated[int, Field(ge=1)]
    entropies: list[str]
    """Names in the order of the network's planes."""
    degradation: dict[str, Any]
    """How the inputs it was trained on were made."""
    dropped: Annotated[list[Condition], Field(default_factory=list)]
    """Conditions that training sometimes withheld: those that guidance can turn away from."""
    provenance: dict[str, Any]
    """Step, data, parameters, scores: for people and reports, never for computing."""
    classes: Annotated[int, Field(ge=1)] | None = None
    """Classes the network is told about; weights from elsewhere have them, trained ones do not."""
    label: Annotated[int, Field(ge=0)] | None = None
    """The class every picture is restored as; None is the mean of all."""

    @field_validator("label")
    @classmethod
    def _one_of_the_classes(cls, label: int | None, info: ValidationInfo) -> int | None:
        classes = info.data.get("classes")
        if label is not None and (classes is None or label >= classes):
            raise ValueError(f"must be below the number of classes, {classes}, got {label}")
        return label


class SuperResolver:
    """A network with its diffusion: what training, sampling and restoring build on.

    Args:
        spec: the description.
        network: built from it; by default a new one.

    Raises:
        SuperresError: a configuration that no network can be built from.
    """

    def __init__(self, spec: ModelSpec, network: SuperResUNet | None = None) -> None:
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
            channels = 6 if self.diffusion.learns_variance else 3
            if settings.preconditioning == "wiener":
                channels += EXTRA_CHANNELS
            self.network = network or SuperResUNet(
                spec.model, len(spec.entropies), channels, spec.classes
            )
        except ValueError as error:
            raise SuperresError(f"model or diffusion params: {error}") from error
        self.device = torch.device("cpu")
        self._evaluated: Callable[..., Tensor] | None = None

    def compute(self, how: Computing) -> SuperResolver:
        """Have the network evaluated in another precision, or compiled; return self."""
        self._evaluated = evaluated(self.network, how)
        return self

    def to(self, device: torch.device) -> SuperResolver:
        """Move network and tables to a device, channels last; return self."""
        self.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.diffusion.to(device)
        self.device = device
        return self

    def denoiser(self, low: Tensor, entropy: Tensor) -> Denoiser:
        """Return the network with its conditions bound, as the diffusion sees it.

        Args:
            low: low-resolution pictures in [-1, 1], (B, 3, h, w).
            entropy: corruption entropies, (B, K).
        """
        low = upsample(low, self.size(low))  # once, not in every evaluation
        network = self._evaluated or self.network

        def denoise(x_t: Tensor, timesteps: Tensor) -> Tensor:
            output = network(x_t, timesteps, low, entropy, self._labels(len(x_t)))
            if self.spec.diffusion.preconditioning == "none":
                return output
            scale = self.diffusion.model_timesteps_scale
            t = timesteps if scale is None else (timesteps / scale).round().long()
            return wiener(output, x_t, self.diffusion.at("alphas_cumprod", t, x_t))

        return denoise

    def guided(
        self, low: Tensor, entropy: Tensor, scale: float, ramp: bool, drop: Sequence[str]
    ) -> Denoiser:
        """Return the denoiser led away from what the network says when it is told less.

        Args:
            low: low-resolution pictures in [-1, 1], (B, 3, h, w).
            entropy: corruption entropies, (B, K).
            scale: 0 changes nothing; see `superres.sampling.guidance.guided`.
            ramp: the scale falls with the noise.
            drop: conditions the other evaluation is not told, `low` or `entropies`.

        Raises:
            ValueError: a condition that training never withheld.
        """
        for name in drop:
            if name not in self.spec.dropped:
                raise ValueError(
                    f"guidance cannot drop {name!r}: the model was trained with "
                    f"{' and '.join(self.spec.dropped) or 'nothing'} dropped (train.drop)"
                )
        less = self.denoiser(
            drop_low(low, "low" in drop), drop_entropies(entropy, "entropies" in drop)
        )
        return guided(self.diffusion, self.denoiser(low, entropy), less, scale, ramp)

    def size(self, low: Tensor) -> tuple[int, int]:
        """Return the height and width of the restored pictures."""
        return low.shape[-2] * self.spec.scale, low.shape[-1] * self.spec.scale

    def encode(self, high: Tensor, low: Tensor) -> Tensor:
        """Return what is diffused for originals in [-1, 1], (B, 3, H, W): them or the residual."""
        settings = self.spec.diffusion
        if settings.target == "picture":
            return high
        return (high - self._base(low, high.shape[-2:])) * settings.residual_scale

    def decode(self, x: Tensor, low: Tensor) -> Tensor:
        """Return pictures from what is diffused; the inverse of `encode`."""
        settings = self.spec.diffusion
        if settings.target == "picture":
            return x
        return self._base(low, x.shape[-2:]) + x / settings.residual_scale

    def levels(self, high: Tensor) -> Levels:
        """Return where the 8-bit levels of originals lie in what is diffused for them."""
        picture = self.spec.diffusion.target == "picture"
        return Levels.of(high, 1.0 if picture else self.spec.diffusion.residual_scale)

    def clip(self, low: Tensor) -> Clip:
        """Return the limit on predicted x0 that keeps decoded pictures in [-1, 1]."""
        settings = self.spec.diffusion
        if settings.target == "picture":
            return True
        # Interpolated once, not at every step.
        base, scale = self._base(low, self.size(low)), settings.residual_scale
        return lambda x0: (x0 / scale).add_(base).clamp_(-1, 1).sub_(base).mul_(scale)

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

    def _base(self, low: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
        return upsample(low, size, self.spec.diffusion.residual_base)

    def _labels(self, batch: int) -> Tensor | None:
        return None if self.spec.label is None else torch.full((batch,), self.spec.label)

    def parameters(self) -> int:
        """Return the number of weights."""
        return sum(weight.numel() for weight in self.network.parameters())


def save_model(folder: str | Path, spec: ModelSpec, weights: dict[str, Tensor]) -> None:
    """Write a model folder, all or nothing."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    with replacing_folder(folder) as partial:
        save_file(tensors, partial / WEIGHTS)
        write_json(partial / DESCRIPTION, spec.model_dump())


def read_spec(folder: str | Path) -> ModelSpec:
    """Return a model folder's description.

    Raises:
        SuperresError: no such folder, not a model folder, or of another kind.
    """
    path = Path(folder) / DESCRIPTION
    if not path.is_file():
        raise SuperresError(f"{folder}: not a model folder (no {DESCRIPTION})")
    try:
        return ModelSpec.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SuperresError(f"{path}: not JSON: {error}") from error
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in fault["loc"])
        raise SuperresError(f"{path}: {key}: {fault['msg']}") from error


def load_model(
    folder: str | Path, device: torch.device | None = None, how: Computing | None = None
) -> SuperResolver:
    """Return the model of a folder, ready to evaluate: on a device, in a precision.

    Raises:
        SuperresError: a missing, damaged or foreign file; tensors that do not fit, by name.
    """
    resolver = SuperResolver(read_spec(folder))
    path = Path(folder) / WEIGHTS
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise SuperresError(f"{path}: not readable: {error}") from error
    if faults := tensor_faults(weights, resolver.network.state_dict()):
        raise SuperresError(f"{path}: does not fit its model.json: {'; '.join(faults)}")
    resolver.network.load_state_dict(weights)
    resolver.network.eval().requires_grad_(False)
    return resolver.to(device or torch.device("cpu")).compute(how or Computing())
