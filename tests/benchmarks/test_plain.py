"""The baseline of the benchmarks computes what the library computes, only slower."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import yaml

from benchmarks.cases import NETWORKS, build, inputs
from benchmarks.plain import PlainUNet, plain_sample
from superres.diffusion import GaussianDiffusion, make_betas
from superres.diffusion.noise import ItemNoise
from superres.networks.config import UNetParams
from superres.sampling import respaced, sample
from support import ROOT


@pytest.mark.parametrize("name", ["tiny", "default"])
def test_plain_and_fast_networks_agree(name: str) -> None:
    network = build(name)
    plain = PlainUNet(network)
    with torch.no_grad():
        expected, output = plain(*inputs(name, 2)), network(*inputs(name, 2))
        assert expected.abs().max() > 0.1
        torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)
        for weight in plain.parameters():
            weight.add_(0.1)
        assert (plain(*inputs(name, 2)) - output).abs().max() > 0.01


@pytest.mark.parametrize("name", ["tiny", "default"])
def test_plain_and_fast_gradients_agree(name: str) -> None:
    network = build(name)
    plain = PlainUNet(network)
    for one in (plain, network):
        one(*inputs(name, 2)).square().mean().backward()
    for (label, mine), theirs in zip(
        network.named_parameters(), plain.network.parameters(), strict=True
    ):
        assert mine.grad is not None and theirs.grad is not None
        scale = theirs.grad.abs().max().item()
        torch.testing.assert_close(
            mine.grad,
            theirs.grad,
            rtol=1e-3,
            atol=1e-4 * scale,
            msg=lambda said, at=label: at + said,
        )


def test_plain_and_fast_sampling_agree() -> None:
    network = build("tiny")
    plain = PlainUNet(network)
    noisy, _, low, entropy = inputs("tiny", 2)
    betas = make_betas("linear", 4000)
    diffusion = GaussianDiffusion(betas)

    def draw() -> ItemNoise:
        return ItemNoise([1, 2], noisy.shape[1:])

    with torch.no_grad():
        kept = list(respaced(diffusion, 6).timestep_map)
        expected = plain_sample(lambda x, t: plain(x, t, low, entropy), betas, kept, draw())
        output = sample(
            diffusion, lambda x, t: network(x, t, low, entropy), noisy.shape, draw=draw(), steps=6
        )
    assert expected.std() > 0.1
    torch.testing.assert_close(output, expected, rtol=0, atol=2e-3 * expected.abs().max().item())


def test_the_networks_are_those_of_the_params_and_presets() -> None:
    def section(path: str) -> dict[str, Any]:
        params = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
        return UNetParams.model_validate(params["model"]).model_dump(exclude={"kind"})

    for name, path in (
        ("default", "presets/small-unet.yaml"),
        ("recipe-128", "presets/recipe-128.yaml"),
        ("recipe-256", "presets/recipe-256.yaml"),
    ):
        lists = {
            key: list(v) if isinstance(v, tuple) else v for key, v in NETWORKS[name].params.items()
        }
        assert lists == {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in section(path).items()
        }, name
    assert 22e6 < sum(weight.numel() for weight in build("guided-23M").parameters()) < 24e6
