"""One network evaluation, sampling and a training step, plain against fast; torch is enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.cases import build, inputs
from benchmarks.measuring import (
    MATRIX,
    Row,
    flops_of,
    interleaved,
    matrix_product,
    plainly,
    rate_of,
)
from benchmarks.plain import PlainUNet, plain_sample
from superres.diffusion import GaussianDiffusion, make_betas
from superres.diffusion.noise import ItemNoise
from superres.networks.conditional_unet import upsample
from superres.sampling import respaced, sample

CPU = torch.device("cpu")


class Evaluation(NamedTuple):
    """What one case of `evaluation_rows` measures."""

    name: str
    batch: int
    rounds: int


def evaluation_rows(case: Evaluation) -> list[Row]:
    """Return rows of one evaluation on the CPU: fast, plain, and with gradients.

    The share is of the machine's fp32 matrix rate, measured in the same turns. Operations are the
    plain network's, so that leaving some out counts as speed.
    """
    name, batch, rounds = case
    network = build(name)
    plain, checkpointed = PlainUNet(network, checkpointing=False), PlainUNet(network)
    tensors = inputs(name, batch)
    # As the library does: the input is upsampled once per picture, not in every evaluation.
    noisy, timesteps, low, entropy = tensors
    ready = (noisy, timesteps, upsample(low, noisy.shape[-2:]), entropy)
    with torch.no_grad():
        flops = flops_of(lambda: plain(*tensors))
    product = matrix_product(CPU, torch.float32, MATRIX)

    def trained(one: torch.nn.Module, given: tuple[Tensor, ...]) -> None:
        one(*given).square().mean().backward()
        one.zero_grad(set_to_none=True)

    with torch.inference_mode():
        times = interleaved(
            {
                "fast": lambda: network(*ready),
                "plain": plainly(lambda: plain(*tensors)),
                "product": product,
            },
            rounds,
            CPU,
        )
    times |= interleaved(
        {
            "fast, gradients": lambda: trained(network, ready),
            "plain, gradients": plainly(lambda: trained(plain, tensors)),
            "plain, checkpointed": plainly(lambda: trained(checkpointed, tensors)),
        },
        max(3, rounds // 3),
        CPU,
    )
    peak = rate_of(2 * MATRIX**3, times.pop("product"))
    rows = []
    for kind, taken in times.items():
        done = flops * (1 if "," not in kind else 3)
        baseline = times["plain" if "," not in kind else "plain, checkpointed"]
        facts = {
            "share of matrix rate": rate_of(done, taken) / peak,
            "times as fast as the baseline": rate_of(1, taken) / rate_of(1, baseline),
        }
        what = f"{name}: evaluation, batch {batch}, {kind}"
        rows.append(Row(what, "ms", [1000 * value for value in taken], facts=facts))
    return rows


def sampling_rows(name: str, batch: int, steps: int, rounds: int) -> list[Row]:
    """Return rows of sampling on the CPU, and what it adds to its evaluations."""
    network = build(name)
    plain = PlainUNet(network)
    noisy, _, low, entropy = inputs(name, batch)
    big = upsample(low, noisy.shape[-2:])
    betas = make_betas("linear", 4000)
    channels = 6
    diffusion = GaussianDiffusion(betas)
    kept = list(respaced(diffusion, steps).timestep_map)

    def draw() -> ItemNoise:
        return ItemNoise(list(range(batch)), noisy.shape[1:])

    def fast() -> None:
        sample(
            diffusion,
            lambda x, t: network(x, t, big, entropy)[:, :channels],
            noisy.shape,
            draw=draw(),
            steps=steps,
        )

    def sampled_plainly() -> None:
        with torch.no_grad():
            plain_sample(lambda x, t: plain(x, t, low, entropy)[:, :channels], betas, kept, draw())

    def evaluations() -> None:
        t = torch.full((batch,), 2000)
        with torch.no_grad():
            for _ in range(steps):
                network(noisy, t, big, entropy)

    functions: dict[str, Callable[[], object]] = {
        "fast": fast,
        "plain": plainly(sampled_plainly),
        "its evaluations alone": evaluations,
    }
    times = interleaved(functions, rounds, CPU, warm=0)
    alone = rate_of(1, times["its evaluations alone"])
    return [
        Row(
            f"{name}: {steps} steps, batch {batch}, {kind}",
            "images/s",
            [batch / value for value in taken],
            facts={
                "times as fast as plain": rate_of(1, taken) / rate_of(1, times["plain"]),
                "added to the evaluations": alone / rate_of(1, taken) - 1,
            },
        )
        for kind, taken in times.items()
    ]
