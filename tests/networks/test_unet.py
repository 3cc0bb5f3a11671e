from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from networks import small_params
from superres.networks.conditional_unet import SuperResUNet
from superres.networks.config import UNetParams
from superres.networks.layers import AttentionBlock, group_norm, timestep_embedding
from superres.networks.unet import UNet
from support import GOLDEN

PINNED = GOLDEN / "unet_pinned.npz"


def params(**changes: Any) -> UNetParams:
    return small_params(**{"heads": 2, **changes})


def network(seed: int = 0, **changes: Any) -> SuperResUNet:
    """Return a network whose every weight is random, so that no zero hides a fault."""
    built = SuperResUNet(params(**changes), entropies=2, out_channels=6).eval()
    with torch.no_grad():
        for name, weight in built.named_parameters():
            draw = np.random.default_rng([seed, *name.encode()]).standard_normal(weight.shape)
            gamma = weight.ndim == 1 and name.endswith("weight")
            weight.copy_(torch.from_numpy(gamma + 0.05 * draw))
    return built


def inputs(height: int = 16, width: int = 16) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(3)
    return (
        torch.randn(2, 3, height, width, generator=generator),
        torch.tensor([7, 3000]),
        torch.randn(2, 3, (height + 1) // 2, (width + 1) // 2, generator=generator),
        torch.tensor([[0.1, 0.9], [0.5, 0.0]]),
    )


RECIPE = {
    "channels": 192,
    "channel_mult": [1, 1, 2, 2, 4, 4],
    "blocks": 2,
    "attention": [8, 16],
    "heads": 4,
}


@pytest.mark.parametrize(
    ("name", "changes", "entropies", "channels"),
    [
        ("dlas_recipe", RECIPE, 2, 6),
        (
            "extra_dlas_config",
            {"channel_mult": [1, 3], "attention": [4], "scale_shift_norm": False},
            0,
            3,
        ),
    ],
)
def test_tensors_are_named_and_shaped_as_published(
    name: str, changes: dict[str, Any], entropies: int, channels: int
) -> None:
    with torch.device("meta"):
        built = SuperResUNet(params(**changes), entropies, channels)
    ours = {key: list(tensor.shape) for key, tensor in built.state_dict().items()}
    assert ours == json.loads((GOLDEN / "unet_shapes.json").read_text())[name]


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"attention_order": "qkv_first"},
        {"scale_shift_norm": False},
        {"resblock_updown": True, "blocks": 2},
        {"unshuffle": 2, "attention": [], "middle_attention": False},
        {"head_channels": 8, "channel_mult": [1, 2, 2], "attention": [2, 4]},
    ],
    ids=lambda case: "-".join(case) or "default",
)
def test_outputs_stay_what_they_were(case: dict[str, Any]) -> None:
    """Pinned when this network agreed with the reference's to 2e-6 on the published test set."""
    with torch.no_grad():
        output = network(**case)(*inputs())
    expected = np.load(PINNED)["-".join(case) or "default"]
    torch.testing.assert_close(output, torch.from_numpy(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (15, 17), (16, 24), (33, 8)])
@pytest.mark.parametrize("unshuffle", [1, 2])
def test_any_size_works(size: tuple[int, int], unshuffle: int) -> None:
    with torch.no_grad():
        output = network(unshuffle=unshuffle)(*inputs(*size))
    assert output.shape == (2, 6, *size)
    assert output.isfinite().all()


def test_odd_sizes_are_padded_with_their_border_and_cropped() -> None:
    built = network(unshuffle=2)
    x = torch.randn(2, 8, 13, 18, generator=torch.Generator().manual_seed(0))
    t = torch.tensor([7, 3000])
    padded = torch.nn.functional.pad(x, (0, 2, 0, 3), mode="replicate")
    assert built.size_multiple == 4
    with torch.no_grad():
        expected = UNet.forward(built, padded, t)[..., :13, :18]
        torch.testing.assert_close(UNet.forward(built, x, t), expected)


def test_conditions_matter() -> None:
    built = network()
    x, t, low, entropy = inputs()
    with torch.no_grad():
        base = built(x, t, low, entropy)
        for other in (
            built(x, t + 50, low, entropy),
            built(x, t, low + 0.1, entropy),
            built(x, t, low, entropy.flip(1)),
        ):
            assert (other - base).abs().max() > 1e-4
    with pytest.raises(ValueError, match="expected entropies"):
        built(x, t, low, entropy[:, :1])


def test_activation_checkpointing_changes_no_gradient() -> None:
    gradients = []
    for checkpointing in (False, True):
        built = network()
        built.activation_checkpointing = checkpointing
        built(*inputs()).square().mean().backward()
        gradients.append([weight.grad for weight in built.parameters()])
    for plain, checkpointed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, checkpointed)


def test_a_new_network_predicts_zero() -> None:
    built = SuperResUNet(params(), 2, 6)
    with torch.no_grad():
        assert built(*inputs()).abs().max() == 0


def test_attention_is_softmax_of_scaled_products() -> None:
    block = AttentionBlock(8, 2, "by_width")
    torch.nn.init.normal_(block.proj_out.weight)
    x = torch.randn(1, 8, 3, 4)
    with torch.no_grad():
        flat = block.qkv(block.norm(x).reshape(1, 8, 12)).reshape(2, 12, 12)
        query, key, value = flat.split(4, dim=1)
        weights = torch.softmax(torch.einsum("hct,hcs->hts", query, key) / 2, dim=-1)
        mixed = torch.einsum("hts,hcs->hct", weights, value).reshape(1, 8, 12)
        expected = x + block.proj_out(mixed).reshape(x.shape)
        torch.testing.assert_close(block(x), expected)


def test_norms_and_their_errors() -> None:
    groups = {width: group_norm(width, "by_width").num_groups for width in (8, 12, 16, 48, 64, 96)}
    assert groups == {8: 8, 12: 4, 16: 8, 48: 16, 64: 16, 96: 32}
    with pytest.raises(ValueError, match="multiples of 32"):
        group_norm(48, "fixed_32")
    with pytest.raises(ValueError, match="do not divide"):
        AttentionBlock(8, 3, "by_width")


def test_timestep_embedding() -> None:
    embedding = timestep_embedding(torch.tensor([0, 5]), 5)
    assert embedding.shape == (2, 5)
    torch.testing.assert_close(embedding[0], torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0]))
    torch.testing.assert_close(embedding[1, 0], torch.cos(torch.tensor(5.0)))
