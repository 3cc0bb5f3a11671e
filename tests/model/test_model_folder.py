from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from superres.config.check import check_params
from superres.core.errors import SuperresError
from superres.core.tensors import to_pictures, to_signal
from superres.diffusion.noise import ItemNoise
from superres.model.folder import load_model, save_model
from superres.model.resolver import SuperResolver
from superres.model.spec import ModelSpec
from superres.networks.conditions import UNKNOWN_ENTROPY, drop_entropies, drop_low
from superres.sampling.batch import Batch, Sampling, bind
from support import ROOT, tiny_params, write_yaml


def spec(tmp_path: Path, **diffusion: Any) -> ModelSpec:
    params = tiny_params()
    params["diffusion"].update(diffusion)
    checked = check_params(write_yaml(tmp_path / "params.yaml", params))
    return ModelSpec(
        format="superres-1",
        model=checked.model,
        diffusion=checked.diffusion,
        scale=2,
        entropies=["blur", "jpeg"],
        degradation={"scale": 2},
        provenance={"step": 3},
    )


def trained(tmp_path: Path, **diffusion: Any) -> SuperResolver:
    torch.manual_seed(0)
    model = SuperResolver(spec(tmp_path, **diffusion))
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    model.network.eval()
    return model


def test_a_model_comes_back_as_it_was(tmp_path: Path) -> None:
    model = trained(tmp_path)
    save_model(tmp_path / "model", model.spec, model.network.state_dict())
    loaded = load_model(tmp_path / "model")
    assert loaded.spec == model.spec
    for name, tensor in model.network.state_dict().items():
        torch.testing.assert_close(loaded.network.state_dict()[name], tensor, rtol=0, atol=0)
    assert not any(weight.requires_grad for weight in loaded.network.parameters())


@pytest.mark.parametrize("base", ["bilinear", "bicubic"])
@pytest.mark.parametrize("target", ["picture", "residual"])
def test_decode_inverts_encode(tmp_path: Path, target: str, base: str) -> None:
    model = SuperResolver(spec(tmp_path, target=target, residual_base=base))
    high, low = torch.rand(2, 3, 16, 12) * 2 - 1, torch.rand(2, 3, 8, 6) * 2 - 1
    conditioned = model.condition(low, torch.zeros(2, 2))
    torch.testing.assert_close(conditioned.decode(conditioned.encode(high)), high)
    assert model.size(low) == (16, 12)


def test_clipping_keeps_pictures_in_range(tmp_path: Path) -> None:
    model = SuperResolver(spec(tmp_path, target="residual"))
    low = torch.rand(2, 3, 8, 8) * 2 - 1
    conditioned = model.condition(low, torch.zeros(2, 2))
    picture = conditioned.decode(conditioned.clip(torch.randn(2, 3, 16, 16) * 100))
    assert picture.abs().max() <= 1 + 1e-5
    inside = 0.01 * torch.randn(2, 3, 16, 16)
    gray = torch.zeros(2, 3, 8, 8)
    torch.testing.assert_close(model.condition(gray, torch.zeros(2, 2)).clip(inside), inside)


def test_a_tile_alone_equals_the_tile_in_a_batch(tmp_path: Path) -> None:
    model = trained(tmp_path)
    low = to_pictures(torch.rand(3, 3, 8, 8) * 2 - 1)
    entropy = torch.rand(3, 2).numpy()
    batch = Batch(model, low, entropy, ["a", "b", "c"], seed=0)
    alone = Batch(model, low[1:2], entropy[1:2], ["b"], seed=0)
    for restore in (lambda b: b.sample(Sampling(steps=5)), lambda b: b.estimate()):
        torch.testing.assert_close(restore(alone)[0], restore(batch)[1], rtol=1e-4, atol=1e-4)
    again = batch.sample(Sampling(steps=5), repeat=1)
    assert (again - batch.sample(Sampling(steps=5))).abs().max() > 1e-3


def test_guidance_turns_away_from_knowing_less(tmp_path: Path) -> None:
    model = trained(tmp_path)
    low = to_pictures(torch.rand(2, 3, 8, 8) * 2 - 1)
    batch = Batch(model, low, torch.rand(2, 2).numpy(), ["a", "b"], seed=0)
    plain = batch.sample(Sampling(steps=3))
    with pytest.raises(ValueError, match=r"cannot drop 'low': .* with nothing dropped"):
        batch.sample(Sampling(steps=3, guidance=1.0))

    model.spec = model.spec.model_copy(update={"dropped": ["low", "entropies"]})
    guided = {
        drop: batch.sample(Sampling(steps=3, guidance=2.0, drop=drop))
        for drop in (("low",), ("entropies",), ("low", "entropies"))
    }
    for one in guided.values():
        assert (one - plain).abs().max() > 1e-4
    assert (guided["low",] - guided["entropies",]).abs().max() > 1e-4
    ramped = batch.sample(Sampling(steps=3, guidance=2.0, ramp=True))
    assert (ramped - guided["low", "entropies"]).abs().max() > 1e-5

    x, t = torch.randn(2, 3, 16, 16), torch.tensor([5, 50])
    conditioned = model.condition(batch.low, batch.entropy)
    more = conditioned(x, t)
    less = model.condition(torch.zeros_like(batch.low), batch.entropy)(x, t)
    mixed = bind(conditioned, Sampling(guidance=2.0, drop=("low",)))(x, t)
    torch.testing.assert_close(mixed[:, :3], (3 * more - 2 * less)[:, :3])


def test_conditions_are_replaced_where_they_are_dropped() -> None:
    low, entropy = torch.rand(3, 3, 4, 4) + 0.1, torch.rand(3, 2)
    dropped = torch.tensor([True, False, True])
    assert (drop_low(low, dropped)[dropped] == 0).all()
    assert torch.equal(drop_low(low, dropped)[1], low[1])
    assert (drop_entropies(entropy, dropped)[dropped] == UNKNOWN_ENTROPY).all()
    assert torch.equal(drop_entropies(entropy, dropped)[1], entropy[1])
    assert torch.equal(drop_low(low, False), low)
    assert (drop_entropies(entropy) == UNKNOWN_ENTROPY).all()
    assert UNKNOWN_ENTROPY < 0


def test_levels_are_those_of_the_pictures(tmp_path: Path) -> None:
    high = torch.tensor([-1.0, 0.0, 1.0]).reshape(1, 1, 1, 3)
    picture, residual = (
        SuperResolver(spec(tmp_path, **target))
        .condition(torch.zeros(1, 3, 1, 2), torch.zeros(1, 2))
        .levels(high)
        for target in ({"target": "picture"}, {"target": "residual", "residual_scale": 5.0})
    )
    assert picture.half_width == pytest.approx(1 / 255)
    assert residual.half_width == pytest.approx(5 / 255)
    assert residual.lowest.flatten().tolist() == [True, False, False]
    assert residual.highest.flatten().tolist() == [False, False, True]


def test_pixels_come_back() -> None:
    pictures = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).expand(2, -1, -1, 3)
    signal = to_signal(pictures.numpy())
    assert signal.shape == (2, 3, 16, 16)
    assert (signal.min(), signal.max()) == (-1, 1)
    assert (to_pictures(signal) == pictures.numpy()).all()
    assert to_pictures(torch.full((1, 3, 1, 1), 7.0)).max() == 255


def test_noise_belongs_to_the_item() -> None:
    together, alone = ItemNoise([1, 2], (3, 4, 4)), ItemNoise([2], (3, 4, 4))
    first = together()
    assert (first[1] == alone()[0]).all()
    assert (first != together()).any()


def test_errors_name_the_folder_and_the_fault(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with pytest.raises(SuperresError, match="not a model folder"):
        load_model(folder)
    model = trained(tmp_path)
    save_model(folder, model.spec, model.network.state_dict())
    description = json.loads((folder / "model.json").read_text())

    (folder / "model.json").write_text("{")
    with pytest.raises(SuperresError, match=r"model\.json: not JSON"):
        load_model(folder)
    (folder / "model.json").write_text(json.dumps({**description, "format": "other"}))
    with pytest.raises(SuperresError, match=r"model\.json: format"):
        load_model(folder)
    (folder / "model.json").write_text(json.dumps({**description, "entropies": ["blur"]}))
    with pytest.raises(SuperresError, match=r"input_blocks\.0\.0\.weight .* instead of"):
        load_model(folder)
    (folder / "model.json").write_text(json.dumps(description))

    weights = load_file(folder / "weights.safetensors")
    weights["extra"] = weights.pop("out.2.bias")
    save_file(weights, folder / "weights.safetensors")
    with pytest.raises(SuperresError, match=r"missing: out\.2\.bias; surplus: extra"):
        load_model(folder)
    (folder / "weights.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(SuperresError, match="not readable"):
        load_model(folder)
    (folder / "weights.safetensors").unlink()
    with pytest.raises(SuperresError, match="not readable"):
        load_model(folder)


def test_a_model_is_refused_for_other_pairs(tmp_path: Path) -> None:
    model = trained(tmp_path)
    model.check_pairs(2, ("blur", "jpeg"), "m")
    with pytest.raises(SuperresError, match="the pairs have scale 4"):
        model.check_pairs(4, ("blur", "jpeg"), "m")
    with pytest.raises(SuperresError, match=r"\['jpeg', 'blur'\]"):
        model.check_pairs(2, ("jpeg", "blur"), "m")


@pytest.mark.parametrize("rescale", [False, True])
def test_preconditioning_knows_the_timestep(tmp_path: Path, rescale: bool) -> None:
    model = SuperResolver(
        spec(
            tmp_path,
            prediction="x0",
            preconditioning="wiener",
            variance="fixed_small",
            rescale_timesteps=rescale,
        )
    )
    x, low, entropy = torch.randn(2, 3, 16, 16), torch.zeros(2, 3, 8, 8), torch.zeros(2, 2)
    t = torch.tensor([0, 99])
    # A new network adds nothing and says variance 1: x0 is alpha x_t.
    said = model.condition(low, entropy)(x, model.diffusion.model_timesteps(t))
    alpha = torch.from_numpy(model.diffusion.alphas_cumprod)[t].sqrt().float()
    torch.testing.assert_close(said, alpha[:, None, None, None] * x, rtol=1e-4, atol=1e-5)


def test_params_that_no_network_can_be_built_from(tmp_path: Path) -> None:
    with pytest.raises(SuperresError, match="at least 21 timesteps"):
        made = spec(tmp_path)
        few = made.diffusion.model_copy(update={"timesteps": 10})
        SuperResolver(made.model_copy(update={"diffusion": few}))


@pytest.mark.parametrize("preset", sorted((ROOT / "presets").glob("*.yaml")), ids=lambda p: p.stem)
def test_presets_can_be_built(preset: Path) -> None:
    params = check_params(preset)
    with torch.device("meta"):
        model = SuperResolver(
            ModelSpec(
                format="superres-1",
                model=params.model,
                diffusion=params.diffusion,
                scale=params.degrade.scale,
                entropies=[corruption.name for corruption in params.degrade.corruptions],
                degradation={},
                provenance={},
            )
        )
    if preset.stem == "recipe-256":
        assert model.parameters() == 270_168_966
