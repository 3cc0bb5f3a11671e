"""Sampling on a GPU: a batch, plain against fast, and one picture as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.cases import build, inputs
from benchmarks.measuring import Row, interleaved, rate_of
from benchmarks.plain import PlainUNet, plain_sample
from superres.core.precision import Computing, evaluated
from superres.diffusion import GaussianDiffusion, make_betas
from superres.diffusion.noise import ItemNoise
from superres.networks.conditional_unet import SuperResUNet, upsample
from superres.sampling import respaced, sample

Network = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def sampling_rows(
    name: str, batch: int, steps: int, rounds: int, device: torch.device
) -> list[Row]:
    """Return rows of sampling a batch: in bf16, in fp32, and the plain baseline."""
    network = build(name, device).requires_grad_(False)
    plain = PlainUNet(network)
    noisy, _, low, entropy = inputs(name, batch, device)
    betas = make_betas("linear", 4000)
    kept = list(respaced(GaussianDiffusion(betas), steps).timestep_map)

    def plainly() -> None:
        with torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):
            draw = ItemNoise(list(range(batch)), noisy.shape[1:], device)
            plain_sample(lambda x, t: plain(x, t, low, entropy), betas, kept, draw)

    times = interleaved(
        {
            kind: sampler(evaluated(network, Computing(kind)), name, batch, steps, device)
            for kind in ("bf16", "fp32")
        },
        rounds,
        device,
    )
    times |= interleaved({"plain fp32": plainly}, max(1, rounds // 3), device)
    return [
        Row(
            f"{name}: sampling in {steps} steps, batch {batch}, {kind}",
            "images/s",
            [batch / value for value in taken],
            facts={"times as fast as plain": rate_of(1, taken) / rate_of(1, times["plain fp32"])},
        )
        for kind, taken in times.items()
    ]


def picture_rows(
    name: str,
    steps: int,
    rounds: int,
    device: torch.device,
    left_out: list[str],
    compiled: bool = False,
) -> list[Row]:
    """Return rows of sampling one picture in bf16: eager and as a CUDA graph, or compiled."""
    network = build(name, device).requires_grad_(False)
    functions: dict[str, Callable[[], object]] = {}
    if compiled:
        made = evaluated(network, Computing("bf16", compiled=True))
        functions["compiled"] = sampler(made, name, 1, steps, device)
    else:
        made = evaluated(network, Computing("bf16"))
        functions["eager"] = sampler(made, name, 1, steps, device)
        if device.type == "cuda":
            graph = graphed(network, name, device)
            functions["graph"] = sampler(graph, name, 1, steps, device)
        else:
            left_out.append("CUDA graphs: no CUDA device")
    times = interleaved(functions, rounds, device)
    return [
        Row(f"{name}: one picture in {steps} steps, bf16, {kind}", "s", taken)
        for kind, taken in times.items()
    ]


def sampler(
    network: Network, name: str, batch: int, steps: int, device: torch.device
) -> Callable[[], object]:
    """Return the library's sampler as a call without arguments."""
    noisy, _, low, entropy = inputs(name, batch, device)
    big = upsample(low, noisy.shape[-2:])
    diffusion = GaussianDiffusion(make_betas("linear", 4000))

    def call() -> None:
        draw = ItemNoise(list(range(batch)), noisy.shape[1:], device)
        with torch.inference_mode():
            sample(
                diffusion,
                lambda x, t: network(x, t, big, entropy),
                noisy.shape,
                draw=draw,
                steps=steps,
            )

    return call


def graphed(network: SuperResUNet, name: str, device: torch.device) -> Network:
    """Return a network for one picture whose kernels are launched as one CUDA graph, in bf16."""
    held = inputs(name, 1, device)
    held = (*held[:2], upsample(held[2], held[0].shape[-2:]), held[3])

    def run() -> Tensor:
        # Without its cache autocast keeps no tensor that was made while capturing.
        with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16, cache_enabled=False):
            return network(*held)

    side = torch.cuda.Stream(device)
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        for _ in range(3):  # libraries choose their kernels before the capture
            run()
    torch.cuda.current_stream(device).wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = run()

    def replay(x: Tensor, t: Tensor, low: Tensor, entropy: Tensor) -> Tensor:
        for mine, given in zip(held, (x, t, low, entropy), strict=True):
            mine.copy_(given)
        graph.replay()
        return output.float()

    return replay
