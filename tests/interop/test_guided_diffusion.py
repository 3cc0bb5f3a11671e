from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from networks import published, random_network, small_params
from superres.interop import load_guided_diffusion, to_guided_diffusion
from superres.networks.config import UNetParams
from superres.networks.layers import AttentionBlock

RECIPE = {"channels": 192, "channel_mult": [1, 1, 2, 2, 4, 4], "blocks": 2, "attention": [8, 16]}
UPSAMPLER = {**RECIPE, "attention": [8, 16, 32], "resblock_updown": True, "groupnorm": "fixed_32"}
SET = {"channels": 32, "channel_mult": [1, 2, 2], "attention": [2, 4]}
ODD = {"channel_mult": [1, 3], "attention": [], "scale_shift_norm": False, "heads": 2}


def inputs(entropies: int, size: int = 8) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(3)
    return (
        torch.randn(2, 3, size, size, generator=generator),
        torch.tensor([7, 3000]),
        torch.randn(2, 3, size // 2, size // 2, generator=generator),
        torch.rand(2, entropies, generator=generator),
    )


@pytest.mark.parametrize(
    ("name", "asked", "expected", "rest"),
    [
        ("dlas_recipe", {}, RECIPE, (2, 6, None)),
        ("openai_64_256", {}, UPSAMPLER, (0, 6, 1000)),
        (
            "openai_128_512",
            {"head_channels": 64},
            {**UPSAMPLER, "attention": [16, 32], "head_channels": 64},
            (0, 6, 1000),
        ),
        ("set_unet_config", {}, SET, (2, 6, None)),
        ("set_unet_config_guided", {}, {**SET, "groupnorm": "fixed_32"}, (0, 6, None)),
        ("extra_dlas_config", {"heads": 2}, ODD, (0, 3, None)),
    ],
)
def test_published_networks_map_completely_both_ways(
    name: str, asked: dict[str, Any], expected: dict[str, Any], rest: tuple[int, int, int | None]
) -> None:
    tensors = published(name)
    network = load_guided_diffusion(tensors, **asked)
    assert network.params == small_params(**expected)
    assert (network.entropies, network.out_channels, network.classes) == rest
    back = to_guided_diffusion(network)
    assert {key: t.shape for key, t in back.items()} == {k: t.shape for k, t in tensors.items()}


def test_heads_of_the_published_upsampler() -> None:
    network = load_guided_diffusion(published("openai_128_512"), head_channels=64)
    heads = [block.heads for block in network.modules() if isinstance(block, AttentionBlock)]
    assert heads == [12] * 11


@st.composite
def configurations(draw: st.DrawFn) -> tuple[UNetParams, int, int, int | None]:
    levels = draw(st.integers(1, 3))
    channels = draw(st.sampled_from([8, 24, 32]))
    rules = ["by_width", "fixed_32"] if channels == 32 else ["by_width"]
    params = small_params(
        channels=channels,
        channel_mult=draw(st.lists(st.integers(1, 3), min_size=levels, max_size=levels)),
        blocks=draw(st.integers(1, 3)),
        attention=[2**level for level in range(levels) if draw(st.booleans())],
        middle_attention=draw(st.booleans()),
        heads=draw(st.sampled_from([1, 2, 4])),
        head_channels=draw(st.sampled_from([None, 8])),
        attention_order=draw(st.sampled_from(["heads_first", "qkv_first"])),
        scale_shift_norm=draw(st.booleans()),
        # With one level nothing is resampled, and nothing tells how it would be.
        resblock_updown=levels > 1 and draw(st.booleans()),
        groupnorm=draw(st.sampled_from(rules)),
    )
    classes = draw(st.sampled_from([None, 1, 3]))
    return params, draw(st.integers(0, 5)), draw(st.sampled_from([3, 6])), classes


@settings(deadline=None, max_examples=30)
@given(configurations())
def test_a_network_is_inferred_from_its_tensors(
    case: tuple[UNetParams, int, int, int | None],
) -> None:
    params, entropies, channels, classes = case
    network = random_network(params, entropies, channels, classes)
    loaded = load_guided_diffusion(
        {f"module.{name}": tensor for name, tensor in to_guided_diffusion(network).items()},
        heads=params.heads,
        head_channels=params.head_channels,
        attention_order=params.attention_order,
        groupnorm=params.groupnorm,
    )
    assert loaded.params == params
    assert (loaded.entropies, loaded.out_channels, loaded.classes) == (entropies, channels, classes)
    assert not loaded.training
    with torch.no_grad():
        said, expected = loaded(*inputs(entropies)), network(*inputs(entropies))
    assert torch.equal(said, expected)


@pytest.mark.parametrize(
    ("entropies", "channels", "rule", "groups"),
    [(2, 32, "by_width", {16, 32}), (0, 32, "fixed_32", {32}), (0, 16, "by_width", {8, 16})],
)
def test_the_likelier_groups_are_taken(
    entropies: int, channels: int, rule: str, groups: set[int]
) -> None:
    network = random_network(small_params(channels=channels, groupnorm="by_width"), entropies)
    loaded = load_guided_diffusion(to_guided_diffusion(network))
    assert loaded.params.groupnorm == rule
    norms = [module for module in loaded.modules() if isinstance(module, nn.GroupNorm)]
    assert {norm.num_groups for norm in norms} == groups


def test_what_does_not_show_changes_the_network() -> None:
    tensors = to_guided_diffusion(random_network(small_params(channels=32)))
    outputs = []
    asked: list[dict[str, Any]] = [
        {},
        {"heads": 2},
        {"head_channels": 8},
        {"attention_order": "qkv_first"},
        {"groupnorm": "fixed_32"},
    ]
    for options in asked:
        with torch.no_grad():
            outputs.append(load_guided_diffusion(tensors, **options)(*inputs(2)))
    for index, output in enumerate(outputs):
        for other in outputs[:index]:
            assert (output - other).abs().max() > 1e-4


def test_other_heads_on_the_way_up_are_refused_by_name() -> None:
    """They would leave no trace in the tensors, and be loaded as another network."""
    weights = to_guided_diffusion(random_network(small_params(attention=[2], heads=4), 2))
    with pytest.raises(ValueError, match=r"num_heads_upsample must be num_heads, 4, got 8"):
        load_guided_diffusion(weights, heads=4, heads_upsample=8)
    for same in (4, -1, None):
        assert load_guided_diffusion(weights, heads=4, heads_upsample=same).params.heads == 4
    by_channels = load_guided_diffusion(weights, head_channels=8, heads_upsample=2)
    assert by_channels.params.head_channels == 8


def test_weights_are_copied_and_become_float32() -> None:
    network = random_network(small_params())
    halves = {name: tensor.half() for name, tensor in network.state_dict().items()}
    loaded = load_guided_diffusion(halves)
    for name, weight in loaded.named_parameters():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, halves[name].float())
    own = to_guided_diffusion(network)
    with torch.no_grad():
        for weight in network.parameters():
            weight.zero_()
    assert all(tensor.abs().max() > 0 for tensor in own.values())
    again = load_guided_diffusion(own)
    own["out.2.bias"].zero_()
    assert again.state_dict()["out.2.bias"].abs().max() > 0


def small_tensors(**changes: Any) -> dict[str, torch.Tensor]:
    return to_guided_diffusion(random_network(small_params(**changes)))


def test_all_that_does_not_fit_is_named_at_once() -> None:
    tensors = small_tensors()
    del tensors["middle_block.0.in_layers.0.weight"]
    tensors["middle_block.3.weight"] = torch.zeros(2)
    tensors["out.2.bias"] = torch.zeros(7)
    with pytest.raises(ValueError, match=r"16 channels x \[1, 2\], 1 blocks") as caught:
        load_guided_diffusion(tensors)
    said = str(caught.value)
    assert "missing: middle_block.0.in_layers.0.weight;" in said
    assert "surplus: middle_block.3.weight;" in said
    assert said.endswith("misshapen: out.2.bias (7,) instead of (6,)")


def test_long_lists_are_counted() -> None:
    tensors = small_tensors()
    for index in range(20):
        tensors[f"extra.{index}"] = torch.zeros(1)
    with pytest.raises(ValueError, match=r"extra\.7, and 12 more$"):
        load_guided_diffusion(tensors)


@pytest.mark.parametrize(
    "gone",
    [
        "time_embed.0.weight",
        "input_blocks.0.0.weight",
        "input_blocks.1.0.out_layers.3.bias",
        "input_blocks.2.0.op.weight",
        "input_blocks.3.1.qkv.weight",
        "middle_block.1.norm.bias",
        "output_blocks.1.2.conv.weight",
        "output_blocks.3.0.emb_layers.1.bias",
        "out.2.weight",
    ],
)
def test_a_single_missing_tensor_is_named_alone(gone: str) -> None:
    tensors = small_tensors()
    del tensors[gone]
    with pytest.raises(ValueError) as caught:
        load_guided_diffusion(tensors)
    assert str(caught.value).endswith(f"per level): missing: {gone}")


@pytest.mark.parametrize("block", ["input_blocks.4.", "output_blocks.8.", "output_blocks.2."])
def test_a_missing_block_does_not_mislead(block: str) -> None:
    tensors = small_tensors(channel_mult=[1, 1, 2], blocks=2)
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(block)}
    with pytest.raises(ValueError, match=r"\[1, 1, 2\], 2 blocks per level\): missing") as caught:
        load_guided_diffusion(kept)
    assert "surplus" not in str(caught.value)


def test_weights_that_are_not_finite_are_named() -> None:
    tensors = small_tensors()
    tensors["out.2.bias"][3] = float("nan")
    tensors["out.0.weight"] = tensors["out.0.weight"].double() * 1e300
    with pytest.raises(ValueError, match=r"not finite in float32: out\.0\.weight, out\.2\.bias$"):
        load_guided_diffusion(tensors)


def shaped(**shapes: tuple[int, ...]) -> dict[str, torch.Tensor]:
    replaced = {name.replace("__", "."): torch.zeros(shape) for name, shape in shapes.items()}
    return {**small_tensors(), **replaced}


@pytest.mark.parametrize(
    ("state_dict", "said"),
    [
        ([1], "maps names to tensors; got list"),
        ({}, "an empty state dict"),
        ({"a": 3, 4: torch.zeros(1)}, r"not weights by name: 'a' \(int\), 4 \(weights\)"),
        ({"a": torch.zeros(1, dtype=torch.int64)}, r"'a' \(tensor of torch\.int64"),
        ({"a": torch.zeros(1).to_sparse()}, r"'a' \(tensor of torch\.float32, torch\.sparse"),
        (
            {"a": torch.zeros(1), "module.a": torch.zeros(1)},
            "duplicated, with and without 'module.'",
        ),
        ({"conv.weight": torch.zeros(1)}, r"1 tensors \(conv\.weight\) lack time_embed\.0\.weight"),
        ({"time_embed.0.weight": torch.zeros(64, 16)}, r"lack input_blocks\.\*\.0"),
        (shaped(input_blocks__0__0__weight=(16, 3, 3, 3)), "takes 3 channels; super-resolution"),
        (shaped(out__2__weight=(4, 16, 3, 3)), r"gives 4 channels; it must be 3, or 6"),
        (
            published("openai_64_256") | {"label_emb.weight": torch.zeros(3, 4)},
            r"label_emb.* \(3, 4",
        ),
    ],
)
def test_other_things_are_refused(state_dict: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        load_guided_diffusion(state_dict)


def test_widths_and_options_that_cannot_be_expressed() -> None:
    tensors = small_tensors()
    tensors["time_embed.0.weight"] = torch.zeros(128, 32)
    tensors["time_embed.0.bias"] = torch.zeros(128)
    tensors["time_embed.2.weight"] = torch.zeros(128, 128)
    with pytest.raises(ValueError, match=r"\[16, 32\] channels are not whole multiples of the 32"):
        load_guided_diffusion(tensors)
    with pytest.raises(ValueError, match="3 attention heads do not divide 32 channels"):
        load_guided_diffusion(small_tensors(), heads=3)
    with pytest.raises(ValueError, match=r"^heads: Input should be .*, got 0$"):
        load_guided_diffusion(small_tensors(), heads=0)
    with pytest.raises(ValueError, match="fixed_32 needs multiples of 32"):
        load_guided_diffusion(small_tensors(), groupnorm="fixed_32")


def test_networks_that_nobody_else_knows_are_not_given_away() -> None:
    with pytest.raises(ValueError, match="unshuffle 2"):
        to_guided_diffusion(random_network(small_params(unshuffle=2)))
    with pytest.raises(ValueError, match="9 output channels"):
        to_guided_diffusion(random_network(small_params(), out_channels=9))


def test_importing_the_package_does_not_load_torch() -> None:
    code = (
        "import sys, superres.interop; assert 'torch' not in sys.modules;"
        "superres.interop.load_guided_diffusion; assert 'torch' in sys.modules;"
        "assert not hasattr(superres.interop, 'nothing')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
