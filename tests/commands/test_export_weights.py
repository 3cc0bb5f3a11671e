from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from networks import random_network, small_params
from superres.cli import main
from superres.commands.export_weights import codebases
from superres.diffusion.config import DiffusionParams
from superres.interop import to_guided_diffusion
from superres.model.folder import ModelSpec, load_model, save_model


def saved(
    folder: Path,
    diffusion: dict[str, Any] | None = None,
    entropies: int = 2,
    classes: int | None = None,
    out_channels: int = 6,
    **model: Any,
) -> Path:
    params = small_params(**model)
    settings: dict[str, Any] = {
        "timesteps": 100,
        "schedule": "cosine",
        "prediction": "epsilon",
        "preconditioning": "none",
        "variance": "learned_range",
        "target": "picture",
        "residual_base": "bilinear",
        "residual_scale": 1.0,
        "rescale_timesteps": True,
        **(diffusion or {}),
    }
    spec = ModelSpec(
        format="superres-1",
        model=params,
        diffusion=DiffusionParams.model_validate(settings),
        scale=2,
        entropies=[f"kind{index}" for index in range(entropies)],
        degradation={},
        dropped=[],
        provenance={},
        classes=classes,
    )
    network = random_network(params, entropies, out_channels, classes)
    save_model(folder / "model", spec, network.state_dict())
    return folder / "model"


@pytest.mark.parametrize("classes", [None, 3])
def test_a_round_trip_changes_no_bit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], classes: int | None
) -> None:
    network = random_network(small_params(resblock_updown=True), 0, 6, classes)
    first, again = tmp_path / "first.pth", tmp_path / "again.pth"
    torch.save(to_guided_diffusion(network), first)
    assert main(["import", str(first), str(tmp_path / "a")]) == 0
    assert main(["export", str(tmp_path / "a"), str(again)]) == 0
    assert main(["import", str(again), str(tmp_path / "b")]) == 0
    read = torch.load(again, weights_only=True)
    expected = network.state_dict()
    assert list(read) == list(expected)
    assert all(torch.equal(read[name], expected[name]) for name in expected)
    assert all(t.dtype == torch.float32 and t.is_contiguous() for t in read.values())
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in "ab"]
    assert weights[0] == weights[1]
    assert load_model(tmp_path / "a").spec.model == load_model(tmp_path / "b").spec.model


def test_the_options_for_there_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = saved(tmp_path, {"prediction": "x0"}, head_channels=8, attention_order="qkv_first")
    assert main(["export", str(folder), str(tmp_path / "new" / "out.pth")]) == 0
    out = capsys.readouterr().out
    assert "for DL-Art-School\n" in out
    said = dict(line.strip().split(": ", 1) for line in out.splitlines() if line[:2] == "  ")
    options = {name: json.loads(value) for name, value in said.items()}
    assert options == {
        "in_channels": 3,
        "num_corruptions": 2,
        "model_channels": 16,
        "out_channels": 6,
        "num_res_blocks": 1,
        "attention_resolutions": [2],
        "dropout": 0.0,
        "channel_mult": [1, 2],
        "num_classes": None,
        "num_heads": 4,
        "num_head_channels": 8,
        "use_scale_shift_norm": True,
        "resblock_updown": False,
        "use_new_attention_order": True,
        "noise_schedule": "cosine",
        "timesteps": 100,
        "model_mean_type": "start_x",
        "model_var_type": "learned_range",
        "rescale_timesteps": True,
        "scale": 2,
        "corruptions": ["kind0", "kind1"],
    }


WIENER = {"prediction": "x0", "preconditioning": "wiener", "variance": "fixed_small"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"unshuffle": 2}, "model.unshuffle 2"),
        ({"middle_attention": False}, "model.middle_attention false"),
        ({"diffusion": {"prediction": "v"}}, "diffusion.prediction v"),
        ({"diffusion": WIENER, "out_channels": 5}, "diffusion.preconditioning wiener"),
        ({"diffusion": {"variance": "bounded_range"}}, "diffusion.variance bounded_range"),
        ({"diffusion": {"target": "residual"}}, "diffusion.target residual"),
        ({"channels": 32, "groupnorm": "fixed_32"}, "model.groupnorm fixed_32"),
        ({"channel_mult": [2, 2]}, "model.groupnorm by_width with channel_mult [2, 2]"),
    ],
)
def test_models_without_a_counterpart_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: dict[str, Any], said: str
) -> None:
    folder = saved(tmp_path, **options)
    assert main(["export", str(folder), str(tmp_path / "out.pth")]) == 1
    err = capsys.readouterr().err
    assert f"error: {folder}: has no counterpart" in err and said in err
    assert err.count("\n") == 1 and err.count(";") == 0
    assert not (tmp_path / "out.pth").exists()


def test_all_reasons_are_named_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = saved(tmp_path, {"prediction": "v", "target": "residual"}, unshuffle=2)
    assert main(["export", str(folder), str(tmp_path / "out.pth")]) == 1
    err = capsys.readouterr().err
    assert all(word in err for word in ("unshuffle 2", "prediction v", "target residual"))


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"entropies": 0, "channels": 96}, "DL-Art-School and guided-diffusion"),
        ({"entropies": 1, "channels": 96, "groupnorm": "fixed_32"}, "DL-Art-School"),
        ({"entropies": 0, "channels": 32}, "DL-Art-School"),
        ({"entropies": 0, "channels": 32, "groupnorm": "fixed_32"}, "guided-diffusion"),
        ({"entropies": 0, "channels": 96, "channel_mult": [2, 2]}, "guided-diffusion"),
    ],
)
def test_who_can_build_a_network(tmp_path: Path, options: dict[str, Any], names: str) -> None:
    assert codebases(load_model(saved(tmp_path, blocks=1, **options))) == names


def test_what_exists_is_replaced_only_on_demand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = saved(tmp_path), tmp_path / "out.pth"
    out.write_text("precious")
    assert main(["export", str(folder), str(out)]) == 1
    assert "exists already; --overwrite" in capsys.readouterr().err
    assert out.read_text() == "precious"
    assert main(["export", str(folder), str(out), "--overwrite"]) == 0
    assert "time_embed.0.weight" in torch.load(out, weights_only=True)
    assert main(["export", str(folder), str(tmp_path), "--overwrite"]) == 1
    assert "is a folder" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "none"), str(tmp_path / "b.pth")]) == 1
    assert "not a model folder" in capsys.readouterr().err
