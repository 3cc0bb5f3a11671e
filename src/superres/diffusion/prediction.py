"""Computations that ask for evaluations of a network, and what answers them.

A sampler is a generator: it yields what is to be evaluated, is sent the network's output, and
returns its result. So it can be driven by a network that sees everything at once (`drive`), or many
of them side by side by one that sees several at a time (`superres.restoration.tiled`).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from superres.diffusion.process import Clip, Denoiser, GaussianDiffusion, Prediction


class Request(NamedTuple):
    """What the network is to be evaluated for."""

    x_t: Tensor
    """Noisy signal, (B, C, H, W)."""
    timesteps: Tensor
    """As the network was trained to see them, (B,)."""


Result = TypeVar("Result")
Requests = Generator[Request, Tensor, Result]
"""Yields requests, is sent raw outputs, (B, C or 2C, H, W), and returns a result."""


def drive(requests: Requests[Result], denoiser: Denoiser) -> Result:
    """Return a computation's result, its requests answered by a network."""
    request = next(requests)
    while True:
        output = denoiser(*request)
        del request  # who asked may let go of x_t while it goes on
        try:
            request = requests.send(output)
        except StopIteration as end:
            result: Any = end.value
            return result


def predict(
    diffusion: GaussianDiffusion, x_t: Tensor, t: Tensor, clip_denoised: Clip = True
) -> Requests[Prediction]:
    """Return p(x_{t-1} | x_t) and x0 at timesteps of the process, (B,), with one request."""
    output = yield Request(x_t, diffusion.model_timesteps(t))
    return diffusion.interpret(output, x_t, t, clip_denoised)


def predict_x0(
    diffusion: GaussianDiffusion, x_t: Tensor, t: Tensor, clip_denoised: Clip = True
) -> Requests[Tensor]:
    """Return x0 alone at timesteps of the process, (B,), with one request."""
    output = yield Request(x_t, diffusion.model_timesteps(t))
    return diffusion.limited_x0(output, x_t, t, clip_denoised)


def posterior_mean(
    diffusion: GaussianDiffusion, noise: Tensor, clip_denoised: Clip = True
) -> Requests[Tensor]:
    """Return the network's x0 at the noisiest timestep: one request, no sampling.

    At that timestep x_t holds next to nothing of the image, so the least-squares x0 is the mean of
    the posterior given the conditions alone.

    Args:
        diffusion: the process.
        noise: standard normal, (B, C, H, W).
        clip_denoised: how predictions of x0 are limited.
    """
    last = torch.full((len(noise),), diffusion.timesteps - 1, device=noise.device)
    return (yield from predict_x0(diffusion, noise, last, clip_denoised))
