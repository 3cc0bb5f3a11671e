"""A model as functions of tensors alone, which ONNX can hold: the estimate and the denoiser.

Pictures are in [0, 1] here, as other programs have them, and of any height and width: what a
network wants filled up is filled up inside. Nothing is drawn inside: noise is an input.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor, nn
from torch.export import Dim

from superres.model.resolver import SuperResolver
from superres.networks.mean_denoiser import MeanConditions, MeanDenoiser

LENGTHS = {"batch": 2, "height": 6, "width": 10}
"""Of what a graph is traced with; none of them stays in it."""
Axes = tuple[str | int, ...]
"""Of a tensor: a name for each axis of any length, a number for the others."""


class Graph(NamedTuple):
    """What becomes one file."""

    name: str
    """`estimate`, `conditions` or `denoiser`."""
    module: nn.Module
    """Takes its inputs by name, and returns its outputs in their order."""
    inputs: dict[str, Axes]
    outputs: dict[str, Axes]
    scale: int
    timesteps: int
    """Of the process."""

    def examples(self) -> dict[str, Tensor]:
        """Return inputs to trace with."""
        return self.random(**LENGTHS)

    def random(self, batch: int, height: int, width: int) -> dict[str, Tensor]:
        """Return inputs for pictures of a size, drawn from a fixed seed: values in [0, 1]."""
        lengths = {"batch": batch}
        for edge, length in (("height", height), ("width", width)):
            lengths |= {edge: length, f"restored_{edge}": self.scale * length}
            lengths |= {f"even_{edge}": (length + 1) // 2 * 2, f"half_{edge}": (length + 1) // 2}
        generator = torch.Generator().manual_seed(0)
        made = {}
        for name, axes in self.inputs.items():
            shape = [lengths[axis] if isinstance(axis, str) else axis for axis in axes]
            value = torch.rand(shape, generator=generator)
            made[name] = (self.timesteps * value).long() if name == "timestep" else value
        return made

    def dynamic_shapes(self) -> dict[str, dict[int, Any]]:
        """Return which axes of each input may have any length, and how they depend on others."""
        dims: dict[str, Any] = {"batch": Dim("batch")}
        for edge in ("height", "width"):
            half = Dim(f"half_{edge}")
            dims |= {edge: Dim(edge), f"half_{edge}": half, f"even_{edge}": 2 * half}
            free = "picture" not in self.inputs or self.scale == 1
            restored = Dim(f"restored_{edge}") if free else self.scale * dims[edge]
            dims[f"restored_{edge}"] = dims[edge] if self.scale == 1 else restored
        return {
            name: {place: dims[axis] for place, axis in enumerate(axes) if isinstance(axis, str)}
            for name, axes in self.inputs.items()
        }


def graphs(model: SuperResolver) -> list[Graph]:
    """Return a model's graphs, the estimate's first.

    The model is changed: it knows no class but the one that it restores as, and enlarges by
    another kind of operation.
    """
    _settle_class(model)
    network = model.network
    picture: dict[str, Axes] = {"picture": ("batch", 3, "height", "width")}
    entropies: dict[str, Axes] = {}
    if count := len(model.spec.entropies):
        entropies = {"entropies": ("batch", count)}
    large = "restored_height", "restored_width"
    signal: Axes = ("batch", model.channels, *large)
    restored: dict[str, Axes] = {"restored": ("batch", 3, *large)}
    noisy: dict[str, Axes] = {"noisy": signal, "timestep": ("batch",)}
    denoised: dict[str, Axes] = {"clean": signal} | restored
    if model.diffusion.learns_variance:
        denoised["variance"] = signal
    of = model.spec.scale, model.diffusion.timesteps
    if not isinstance(network, MeanDenoiser):
        given = picture | entropies
        return [
            Graph("estimate", _Estimate(model), {"noise": signal} | given, restored, *of),
            Graph("denoiser", _Denoiser(model), noisy | given, denoised, *of),
        ]
    network.mean.enlarge = enlarged
    width = network.denoiser.stem.out_channels
    conditions: dict[str, Axes] = {
        "mean": ("batch", 3, *large),
        "log_deviation": ("batch", 1, *large),
        "fine": ("batch", width, "even_height", "even_width"),
        "coarse": ("batch", 2 * width, "half_height", "half_width"),
    }
    return [
        Graph("estimate", _Mean(model), picture | entropies, restored, *of),
        Graph("conditions", _Conditions(model), picture | entropies, conditions, *of),
        Graph("denoiser", _LightDenoiser(model), noisy | conditions | entropies, denoised, *of),
    ]


class _Given(nn.Module):
    """A model as a module, which holds its weights for the exporter to find."""

    def __init__(self, model: SuperResolver) -> None:
        super().__init__()
        self.network = model.network
        self.model = model
        self.scale = model.spec.scale
        self.multiple = model.size_multiple // math.gcd(self.scale, model.size_multiple)

    def prepared(self, picture: Tensor, entropies: Tensor | None) -> MeanConditions:
        """Return what the network computes once for each picture."""
        size = picture.shape[2] * self.scale, picture.shape[3] * self.scale
        low = _filled(2 * picture - 1, self.multiple)
        entropy = _entropies(picture, entropies)
        return MeanConditions(*self.model.unwrapped.prepare(low, size, entropy))

    def denoised(
        self,
        noisy: Tensor,
        timestep: Tensor,
        low: Tensor,
        entropy: Tensor,
        conditions: MeanConditions | None = None,
    ) -> tuple[Tensor, ...]:
        """Return the clean signals behind noisy ones, also as pictures, and the network's variance.

        Args:
            noisy: (B, C, H, W).
            timestep: of the whole process, (B,).
            low: low-resolution pictures in [-1, 1]; of any content where `conditions` are given.
            entropy: entropies in [0, 1], (B, K).
            conditions: what the network computes once for each picture, if it has such a part.
        """
        diffusion = self.model.diffusion
        conditioned = self.model.condition(_filled(low, self.multiple), entropy)
        rows, columns = conditioned.shape[2:]
        if conditions is not None:
            conditioned.conditions = conditions
            rows, columns = (edge * self.scale for edge in conditions.fine.shape[2:])
        output = conditioned(_taken(noisy, rows, columns), diffusion.model_timesteps(timestep))
        output = output[:, :, : noisy.shape[2], : noisy.shape[3]]
        signal = self.model.signal(low, lambda: conditions)
        clean = diffusion.limited_x0(output, noisy, timestep, signal.clip)
        return clean, _shown(signal.decode(clean)), *output.split(noisy.shape[1], dim=1)[1:]


class _Mean(_Given):
    def forward(self, picture: Tensor, entropies: Tensor | None = None) -> Tensor:
        return _shown(self.prepared(picture, entropies).mean)


class _Conditions(_Given):
    def forward(self, picture: Tensor, entropies: Tensor | None = None) -> tuple[Tensor, ...]:
        return self.prepared(picture, entropies)[:4]


class _LightDenoiser(_Given):
    def forward(
        self,
        noisy: Tensor,
        timestep: Tensor,
        mean: Tensor,
        log_deviation: Tensor,
        fine: Tensor,
        coarse: Tensor,
        entropies: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        entropy = _entropies(noisy, entropies)
        conditions = MeanConditions(mean, log_deviation, fine, coarse, entropy)
        low = mean[:, :, :: self.scale, :: self.scale]
        return self.denoised(noisy, timestep, low, entropy, conditions)


class _Denoiser(_Given):
    def forward(
        self, noisy: Tensor, timestep: Tensor, picture: Tensor, entropies: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        return self.denoised(noisy, timestep, 2 * picture - 1, _entropies(picture, entropies))


class _Estimate(_Given):
    def forward(self, noise: Tensor, picture: Tensor, entropies: Tensor | None = None) -> Tensor:
        last = self.model.diffusion.timesteps - 1
        timestep = torch.full((picture.shape[0],), last, dtype=torch.int64)
        return self.denoised(noise, timestep, 2 * picture - 1, _entropies(picture, entropies))[1]


def enlarged(low: Tensor, scale: int) -> Tensor:
    """Return what `superres.networks.mean_denoiser.interpolated` does, by transposed convolutions.

    ONNX's own operation has a switch for borders that not every program heeds.
    """
    if scale == 1:
        return low
    distance = np.abs((np.arange(5 * scale) + 0.5) / scale - 2.5)
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1  # Keys 1981, a = -0.5
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    taps = np.where(distance < 1, near, np.where(distance < 2, far, 0))
    kernel = torch.from_numpy(np.outer(taps, taps)).float()[None, None]
    how: dict[str, Any] = {"stride": scale, "padding": 2 * scale}
    # Divided by the weights of the pixels that there are.
    known = F.conv_transpose2d(torch.ones_like(low[:1, :1]), kernel, **how)
    channels = low.shape[1]
    weight = kernel.repeat(channels, 1, 1, 1)
    return F.conv_transpose2d(low, weight, groups=channels, **how) / known


def _filled(low: Tensor, multiple: int) -> Tensor:
    """Return pictures whose last row and column are repeated up to a multiple.

    As padding does, but for sizes that are not known when the graph is made.
    """
    rows, columns = ((edge + multiple - 1) // multiple * multiple for edge in low.shape[2:])
    return _taken(low, rows, columns)


def _taken(x: Tensor, rows: int, columns: int) -> Tensor:
    """Return so many rows and columns; those that there are not are like the last."""
    down = torch.arange(rows).clamp(max=x.shape[2] - 1)
    right = torch.arange(columns).clamp(max=x.shape[3] - 1)
    return x[:, :, down][:, :, :, right]


def _shown(signal: Tensor) -> Tensor:
    """Return pictures of [-1, 1] in [0, 1]."""
    return (0.5 * signal + 0.5).clamp(0, 1)


def _entropies(like: Tensor, entropies: Tensor | None) -> Tensor:
    return like.new_empty(like.shape[0], 0) if entropies is None else entropies


def _settle_class(model: SuperResolver) -> None:
    """Have a network with classes know one alone: the model's, or the mean of all."""
    label, network = model.spec.label, model.network
    if label is not None:
        assert isinstance(network.label_emb, nn.Embedding)
        row = network.label_emb.weight[label : label + 1].detach().clone()
        network.label_emb = nn.Embedding.from_pretrained(row)  # the mean of which is the row
        model.spec = model.spec.model_copy(update={"label": None})
