"""One training step on a GPU: images per second, share of the peak, memory."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.cases import build, inputs
from benchmarks.measuring import Row, flops_of, interleaved, rate_of
from benchmarks.plain import PlainUNet
from superres.diffusion import GaussianDiffusion, loss_terms, make_betas
from superres.networks.conditional_unet import upsample

BACKWARD = 3
"""A training step costs three evaluations: the backward pass makes two products of each."""


def training_rows(
    name: str,
    batch: int,
    rounds: int,
    device: torch.device,
    peak: float,
    plain: bool = True,
    compiled: bool = False,
) -> list[Row]:
    """Return rows of training steps, with bf16 as training does it and, if asked, plainly in fp32.

    Args:
        name: of `benchmarks.cases.NETWORKS`.
        batch: pictures per step.
        rounds: steps that are timed.
        device: where.
        peak: FLOP/s of which shares are taken.
        plain: measure the baseline, too.
        compiled: with torch.compile instead of without.
    """
    network = build(name, device)
    with torch.no_grad():
        flops = flops_of(lambda: PlainUNet(network)(*inputs(name, 1, device)))
    rows = []
    if not compiled:
        for checkpointing in (False, True):
            network.activation_checkpointing = checkpointing
            kind = "bf16, checkpointed" if checkpointing else "bf16"
            step = fast_step(network, name, batch, device)
            rows.append(_measured(f"{name}: training step, {kind}", step, batch, rounds, device))
    else:
        network.compile()
        step = fast_step(network, name, batch, device)
        rows.append(_measured(f"{name}: training step, compiled", step, batch, rounds, device))
    if plain:
        step = _plain_step(PlainUNet(network), name, batch, device)
        rows.append(_measured(f"{name}: training step, plain fp32", step, batch, rounds, device))
    for row in rows:
        row.facts["share of peak"] = row.median * BACKWARD * flops / peak
        if plain:
            row.facts["times as fast as plain"] = row.median / rows[-1].median
    return rows


def _measured(
    what: str, step: Callable[[], object], batch: int, rounds: int, device: torch.device
) -> Row:
    gpu = device.type == "cuda"
    if gpu:
        torch.cuda.reset_peak_memory_stats(device)
    taken = interleaved({"": step}, rounds, device, warm=3)[""]
    facts = {"seconds": 1 / rate_of(1, taken)}
    if gpu:
        facts["peak memory GB"] = torch.cuda.max_memory_allocated(device) / 1e9
    return Row(
        f"{what}, batch {batch}", "images/s", [batch / value for value in taken], facts=facts
    )


def fast_step(
    network: nn.Module, name: str, batch: int, device: torch.device
) -> Callable[[], object]:
    """Return a step as `superres.training` does it: nothing in it waits for the device."""
    tensors, x0, noise, diffusion = _given(name, batch, device)
    _, timesteps, low, entropy = tensors
    network.train()
    adam = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=0.0, fused=True)
    averages = [weight.detach().clone() for weight in network.parameters()]

    def step() -> None:
        adam.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16):
            big = upsample(low, x0.shape[-2:])
            terms = loss_terms(
                diffusion, lambda x, t: network(x, t, big, entropy), x0, timesteps, noise
            )
        terms["loss"].mean().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()
        with torch.no_grad():
            torch._foreach_lerp_(averages, list(network.parameters()), 0.001)

    return step


def _plain_step(
    network: nn.Module, name: str, batch: int, device: torch.device
) -> Callable[[], object]:
    """Return the plain step: fp32 without TF32, an optimiser in Python, a loss that is read."""
    tensors, x0, noise, diffusion = _given(name, batch, device)
    _, timesteps, low, entropy = tensors
    network.train()
    adam = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=0.0, foreach=False)
    averages = [weight.detach().clone() for weight in network.parameters()]

    def step() -> None:
        with torch.backends.cudnn.flags(allow_tf32=False):
            adam.zero_grad()
            terms = loss_terms(
                diffusion, lambda x, t: network(x, t, low, entropy), x0, timesteps, noise
            )
            loss = terms["loss"].mean()
            loss.backward()
            norms = [weight.grad.norm().item() for weight in network.parameters()]  # type: ignore[union-attr]
            if not sum(norms) + loss.item() < float("inf"):
                raise ValueError("a loss or gradient that is not finite")
            adam.step()
            with torch.no_grad():
                for average, weight in zip(averages, network.parameters(), strict=True):
                    average.lerp_(weight, 0.001)

    return step


def _given(
    name: str, batch: int, device: torch.device
) -> tuple[tuple[Tensor, ...], Tensor, Tensor, GaussianDiffusion]:
    tensors = inputs(name, batch, device)
    x0 = tensors[0].clamp(-1, 1)
    diffusion = GaussianDiffusion(make_betas("linear", 4000)).to(device)
    return tensors, x0, torch.randn_like(x0), diffusion
