from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from networks import published, random_network, small_params
from superres.cli import main
from superres.degradation.chain import Degradation, Step
from superres.diffusion.process import GaussianDiffusion
from superres.interop import to_guided_diffusion
from superres.interop.architecture import infer_architecture
from superres.interop.origins import Choices, hidden_options
from superres.model.folder import SuperResolver, load_model, read_spec
from superres.networks.config import UNetParams
from superres.sampling import sample

RECIPE = Degradation(
    2, 1.0, (Step("jpeg", "jpeg-broad", "cosine"), Step("blur", "gaussian_blur", "cosine"))
)


def checkpoint(
    folder: Path, params: UNetParams | None = None, entropies: int = 2, **options: Any
) -> Path:
    path = folder / "weights.pth"
    network = random_network(params or small_params(), entropies, **options)
    torch.save(to_guided_diffusion(network), path)
    return path


def imported(path: Path, *flags: str) -> SuperResolver:
    folder = path.parent / "model"
    assert main(["import", str(path), str(folder), *flags]) == 0
    return load_model(folder)


def refused(path: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    """Run an import that must fail without writing, and return what it says."""
    before = sorted(path.parent.rglob("*"))
    assert main(["import", str(path), str(path.parent / "model"), *flags]) == 1
    captured = capsys.readouterr()
    assert sorted(path.parent.rglob("*")) == before
    assert captured.out == "" and captured.err.count("\n") == 1
    return captured.err


def test_weights_of_dl_art_school(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = checkpoint(tmp_path)
    model = imported(path)
    spec = model.spec
    assert spec.model == small_params()
    assert (spec.scale, spec.entropies, spec.classes) == (2, ["jpeg", "blur"], None)
    assert (spec.diffusion.timesteps, spec.diffusion.schedule) == (4000, "linear")
    assert (spec.diffusion.prediction, spec.diffusion.variance) == ("epsilon", "learned_range")
    degradation = Degradation.from_json(spec.degradation)
    assert degradation == RECIPE
    model.check_pairs(degradation.scale, degradation.names, "model")
    for name, tensor in random_network(small_params()).state_dict().items():
        assert torch.equal(model.network.state_dict()[name], tensor)

    provenance = spec.provenance
    assert provenance["origin"] == "dl-art-school"
    assert provenance["file"] == "weights.pth"
    assert provenance["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert provenance["inferred"]["channel_mult"] == [1, 2]
    assert provenance["given"] == {}
    assert provenance["assumed"]["groupnorm"] == "by_width"
    assert str(tmp_path) not in (tmp_path / "model" / "model.json").read_text()
    out = capsys.readouterr().out
    for line in (
        "  channels 16",
        "  entropies 2",
        "  --origin dl-art-school",
        "  --scale 2",
        "  --corruption jpeg=jpeg-broad --corruption blur=gaussian_blur",
        "  --no-rescale-timesteps",
    ):
        assert line in out.splitlines()


def test_class_conditional_weights_of_guided_diffusion_restore_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = small_params(channels=32, groupnorm="fixed_32", resblock_updown=True)
    path = tmp_path / "upsampler.safetensors"
    network = random_network(params, 0, 6, classes=7)
    halves = {f"module.{name}": t.half() for name, t in to_guided_diffusion(network).items()}
    save_file(halves, path)
    model = imported(path)
    assert model.spec.model == params
    assert (model.spec.scale, model.spec.diffusion.timesteps) == (4, 1000)
    assert (model.spec.classes, model.spec.label) == (7, None)
    assert "  --label (none: the mean of all classes)" in capsys.readouterr().out

    low, entropy = torch.rand(1, 3, 4, 4) * 2 - 1, torch.zeros(1, 0)
    shape = (1, 3, *model.size(low))
    assert isinstance(model.diffusion, GaussianDiffusion) and shape == (1, 3, 16, 16)
    restored = sample(
        model.diffusion,
        model.condition(low, entropy),
        shape,
        draw=lambda: torch.randn(shape),
        steps=3,
    )
    assert restored.shape == shape and restored.isfinite().all()

    def said(restorer: SuperResolver) -> torch.Tensor:
        x = torch.ones(shape)
        return restorer.condition(low, entropy)(x, torch.tensor([9]))

    labelled = imported(path, "--label", "6", "--overwrite")
    assert labelled.spec.label == 6
    assert (said(labelled) - said(model)).abs().max() > 1e-3


def test_every_choice_can_be_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = checkpoint(tmp_path, small_params(channels=32), entropies=1, classes=3)
    flags = (
        "--origin dl-art-school --scale 8 --timesteps 500 --schedule cosine --rescale-timesteps "
        "--prediction x0 --variance learned --head-channels 8 --attention-order qkv_first "
        "--groupnorm fixed_32 --corruption haze=gaussian_blur --blur-scale 2.5 --label 0 "
        "--downsampling bicubic"
    )
    spec = imported(path, *flags.split()).spec
    diffusion = spec.diffusion
    assert (diffusion.timesteps, diffusion.schedule) == (500, "cosine")
    assert (diffusion.prediction, diffusion.variance) == ("x0", "learned")
    assert diffusion.rescale_timesteps
    assert (spec.model.head_channels, spec.model.attention_order) == (8, "qkv_first")
    assert spec.model.groupnorm == "fixed_32"
    assert (spec.scale, spec.entropies, spec.label) == (8, ["haze"], 0)
    steps = (Step("haze", "gaussian_blur", "cosine"),)
    haze = Degradation(8, 2.5, steps, downsampling="bicubic")
    assert Degradation.from_json(spec.degradation) == haze
    assert spec.provenance["assumed"] == {}
    assert spec.provenance["given"]["corruption"] == ["haze=gaussian_blur"]
    out = capsys.readouterr().out
    assert "assumed" not in out and "  --rescale-timesteps" in out.splitlines()


@pytest.mark.parametrize(
    ("entropies", "options", "scale", "groupnorm", "variance"),
    [
        (2, {}, 2, "by_width", "learned_range"),
        (0, {"out_channels": 3}, 4, "fixed_32", "fixed_large"),
        (0, {"classes": 2}, 4, "fixed_32", "learned_range"),
    ],
)
def test_the_origin_is_guessed(
    tmp_path: Path,
    entropies: int,
    options: dict[str, Any],
    scale: int,
    groupnorm: str,
    variance: str,
) -> None:
    params = small_params(channels=32)
    spec = imported(checkpoint(tmp_path, params, entropies, **options)).spec
    assert (spec.scale, spec.model.groupnorm) == (scale, groupnorm)
    assert spec.diffusion.variance == variance


def test_a_given_origin_decides(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, small_params(channels=32), 0)
    spec = imported(path, "--origin", "dl-art-school").spec
    assert (spec.scale, spec.model.groupnorm, spec.diffusion.timesteps) == (2, "by_width", 4000)


@pytest.mark.parametrize(
    ("name", "given", "heads", "head_channels"),
    [
        ("openai_64_256", {}, 4, None),
        ("openai_128_512", {}, 4, 64),
        ("openai_128_512", {"heads": 8}, 8, None),
        ("openai_128_512", {"head_channels": 32}, 4, 32),
        ("dlas_recipe", {}, 4, None),
    ],
)
def test_heads_of_published_networks_are_known(
    name: str, given: dict[str, Any], heads: int, head_channels: int | None
) -> None:
    choices = Choices(given)
    asked = hidden_options(infer_architecture(published(name)), "guided-diffusion", choices)
    assert (asked["heads"], asked["head_channels"]) == (heads, head_channels)
    assert ("head_channels" in choices.assumed) == (not given and head_channels is not None)
    assert not set(choices.assumed) & set(given)
    assert "groupnorm" not in choices.assumed  # at these widths both rules are the same


def test_wrong_flags_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = checkpoint(tmp_path)
    jpeg = ("--corruption", "jpeg=jpeg")
    for flags, said in (
        (jpeg, "has 2 entropy planes, and --corruption names 1;"),
        ((*jpeg, *jpeg), "the name 'jpeg' stands twice"),
        ((*jpeg, "--corruption", "b=rain"), "degrade.corruptions.1.kind: must be one of"),
        ((*jpeg, "--corruption", "B=jpeg"), "degrade.corruptions.1.name"),
        (("--scale", "5"), "degrade.scale: must be one of 1, 2, 3, 4 or 8, got 5"),
        (("--blur-scale", "nan"), "degrade.blur_scale"),
        (("--timesteps", "0"), "diffusion.timesteps: must be between 2 and 100000, got 0"),
        (("--timesteps", "10"), "at least 21 timesteps"),
        (("--variance", "fixed_small"), "does not fit the network's 6 output channels"),
        (("--label", "0"), "--label 0: the network has no classes"),
        (("--heads", "3"), "3 attention heads do not divide"),
        (("--groupnorm", "fixed_32"), "fixed_32 needs multiples of 32"),
    ):
        assert said in refused(path, capsys, *flags)
    with pytest.raises(SystemExit):
        main(["import", str(path), "model", "--corruption", "jpeg"])
    assert "wanted NAME=KIND, got 'jpeg'" in capsys.readouterr().err


@pytest.mark.parametrize("label", ["-1", "3"])
def test_a_class_that_does_not_exist(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], label: str
) -> None:
    path = checkpoint(tmp_path, small_params(), 0, classes=3)
    assert "the network has the classes 0 to 2" in refused(path, capsys, "--label", label)


def test_other_heads_on_the_way_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = checkpoint(tmp_path, small_params(attention=[2]))
    said = refused(path, capsys, "--heads", "2", "--heads-upsample", "4")
    assert "weights.pth: num_heads_upsample must be num_heads, 2, got 4" in said
    model = imported(path, "--heads", "2", "--heads-upsample", "2")
    assert model.spec.provenance["given"]["heads_upsample"] == 2


def test_entropies_that_nobody_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "has 5 entropy planes" in refused(checkpoint(tmp_path, entropies=5), capsys)


def test_weights_that_do_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = checkpoint(tmp_path)
    tensors = torch.load(path, weights_only=True)
    tensors["out.2.bias"][0] = torch.inf
    torch.save(tensors, path)
    assert f"{path}: weights that are not finite" in refused(path, capsys)
    del tensors["out.2.bias"]
    torch.save(tensors, path)
    assert "missing: out.2.bias" in refused(path, capsys)
    torch.save({"a": torch.zeros(2)}, path)
    assert "not a U-Net of guided-diffusion or DL-Art-School" in refused(path, capsys)
    path.write_bytes(b"PK\x03\x04 and then nothing")
    assert f"error: {path}: is no file of tensors" in refused(path, capsys)
    path.unlink()
    assert f"error: {path}: no such file" in refused(path, capsys)


def test_what_exists_is_replaced_only_on_demand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = checkpoint(tmp_path)
    imported(path)
    capsys.readouterr()
    before = (tmp_path / "model" / "model.json").read_text()
    assert "exists already; --overwrite replaces it" in refused(path, capsys, "--scale", "4")
    assert (tmp_path / "model" / "model.json").read_text() == before
    assert imported(path, "--scale", "4", "--overwrite").spec.scale == 4
    capsys.readouterr()

    inside = tmp_path / "model" / "weights.pth"
    path.rename(inside)
    command = ["import", str(inside), str(tmp_path / "model"), "--overwrite"]
    assert main(command) == 1
    assert "would delete" in capsys.readouterr().err and inside.exists()
    inside.rename(path)

    (tmp_path / "model" / "model.json").unlink()
    assert "--overwrite replaces model folders" in refused(path, capsys, "--overwrite")
    file = tmp_path / "file"
    file.touch()
    assert main(["import", str(path), str(file), "--overwrite"]) == 1
    assert "is a file" in capsys.readouterr().err
    empty = tmp_path / "empty"
    empty.mkdir()
    assert main(["import", str(path), str(empty), "--overwrite"]) == 0
    assert json.loads((empty / "model.json").read_text())["scale"] == 2
    assert Degradation.from_json(read_spec(empty).degradation) == RECIPE
