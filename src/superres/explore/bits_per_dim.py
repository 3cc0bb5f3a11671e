"""Bits per dimension of a split's originals given their inputs, timestep by timestep."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from superres.core.progress import progress_bar
from superres.core.seeding import derive_seed
from superres.core.tensors import to_signal
from superres.degradation.dataset import PairSet
from superres.diffusion.noise import ItemNoise
from superres.diffusion.process import Denoiser
from superres.diffusion.variational import BitsPerDim, bits_per_dim
from superres.model.resolver import SuperResolver
from superres.sampling.spacing import respaced


def measure_bits(
    model: SuperResolver, pairs: PairSet, count: int, steps: int, batch: int, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the variational bound of originals, in bits per dimension of 8-bit pictures.

    Args:
        model: the model; what it is conditioned on costs nothing.
        pairs: one split.
        count: tiles used, spread evenly over it; all where there are fewer.
        steps: timesteps of the bound, one network evaluation each; fewer than the process has give
            a looser bound.
        batch: tiles per network evaluation.
        seed: of the noise.

    Returns:
        A row per timestep of the whole process that was visited (`timestep`, `bits`, `x0_mse`,
        `epsilon_mse`: means over tiles; the errors are of what is diffused), and a row per tile
        (`id`, `bits`, `prior`, `decoder`, `between`, which sum to `bits`).

    Raises:
        ValueError: more steps than the process has.
    """
    diffusion = respaced(model.diffusion, steps).to(model.device)
    items = np.unique(np.linspace(0, len(pairs) - 1, min(count, len(pairs))).round().astype(int))
    parts: list[BitsPerDim] = []
    with progress_bar(len(items) * diffusion.timesteps, "likelihood", "step") as bar:
        for first in range(0, len(items), batch):
            some = items[first : first + batch]
            high = to_signal(pairs.high(some), model.device)
            low = to_signal(pairs.low(some), model.device)
            entropy = torch.from_numpy(pairs.entropies(some)).to(model.device)
            conditioned = model.condition(low, entropy)
            denoiser = _counted(conditioned, bar)
            seeds = [derive_seed(seed, "likelihood", name) for name in pairs.ids(some)]
            noise = ItemNoise(seeds, conditioned.shape[1:], model.device)
            x0, levels = conditioned.encode(high), conditioned.levels(high)
            parts.append(bits_per_dim(diffusion, denoiser, x0, noise, conditioned.clip, levels))
    total, prior, terms, x0_mse, epsilon_mse = (
        torch.cat(column).double().cpu().numpy() for column in zip(*parts, strict=True)
    )
    by_timestep = pd.DataFrame(
        {
            "timestep": diffusion.timestep_map,
            "bits": terms.mean(0),
            "x0_mse": x0_mse.mean(0),
            "epsilon_mse": epsilon_mse.mean(0),
        }
    )
    by_tile = pd.DataFrame(
        {
            "id": pairs.ids(items),
            "bits": total,
            "prior": prior,
            "decoder": terms[:, 0],
            "between": terms[:, 1:].sum(1),
        }
    )
    return by_timestep, by_tile


def _counted(denoiser: Denoiser, bar: tqdm) -> Denoiser:
    """Return a denoiser that moves a progress bar on by the pictures it is given."""

    def denoise(x: Tensor, t: Tensor) -> Tensor:
        bar.update(len(x))
        return denoiser(x, t)

    return denoise
