from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from trainings import checked, run_training, trainer

from superres.config.check import Params, check_params
from superres.core.errors import SuperresError
from superres.core.params import NOISE
from superres.model.folder import ModelSpec, load_model, save_model
from superres.model.found import BOX
from superres.model.resolver import SuperResolver
from superres.training.start import starting_weights
from support import ROOT, tiny_mean_denoiser_params, tiny_params, write_yaml


def new_resolver(params: Params, entropies: list[str]) -> SuperResolver:
    spec = ModelSpec(
        format="superres-1",
        model=params.model,
        diffusion=params.diffusion,
        scale=2,
        entropies=entropies,
        degradation={},
        provenance={},
    )
    torch.manual_seed(len(entropies))
    return SuperResolver(spec)


def resolver(params: Params, entropies: list[str]) -> SuperResolver:
    """Return a model none of whose weights is zero, as if it had been trained."""
    model = new_resolver(params, entropies)
    for weight in model.unwrapped.parameters():  # type: ignore[attr-defined]
        torch.nn.init.normal_(weight, std=0.1)
    return model


@pytest.fixture(params=["unet", "mean_denoiser"])
def params(request: pytest.FixtureRequest, tmp_path: Path) -> Params:
    values = tiny_params() if request.param == "unet" else tiny_mean_denoiser_params()
    return check_params(write_yaml(tmp_path / "params.yaml", values))


def saved(model: SuperResolver, folder: Path) -> Path:
    save_model(folder, model.spec, model.network.state_dict())
    return folder


def output(model: SuperResolver, entropy: list[float], edge: int = 8) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    low = torch.rand(1, 3, edge, edge, generator=generator)
    x = torch.randn(1, model.channels, 2 * edge, 2 * edge, generator=generator)
    with torch.no_grad():
        conditioned = model.condition(low, torch.tensor([entropy]).reshape(1, -1))
        return conditioned(x, model.diffusion.model_timesteps(torch.tensor([50])))


def test_corruptions_in_another_order_and_new_ones_change_no_output(
    params: Params, tmp_path: Path
) -> None:
    before = resolver(params, ["blur", "jpeg"])
    folder = saved(before, tmp_path / "start")
    after = resolver(params, ["noise", "jpeg", "blur"])
    weights = starting_weights(after.spec, after.unwrapped, folder, new_entropies=True)
    after.network.load_state_dict(weights)
    for noise in (0.0, 1.0):
        found = output(after, [noise, 0.9, 0.2])
        torch.testing.assert_close(found, output(before, [0.2, 0.9]), rtol=1e-4, atol=1e-5)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(output(after, [0.0, 0.2, 0.9]), output(before, [0.2, 0.9]))


@pytest.mark.parametrize("kept", [["jpeg"], []])
def test_corruptions_that_are_taken_as_absent_change_no_output(
    params: Params, tmp_path: Path, kept: list[str]
) -> None:
    before = resolver(params, ["blur", "jpeg", "noise"])
    after = resolver(params, kept)
    folder = saved(before, tmp_path / "start")
    with pytest.raises(SuperresError, match=r"blur.* \(train\.without_entropies: true takes them"):
        starting_weights(after.spec, after.unwrapped, folder, new_entropies=False)
    weights = starting_weights(
        after.spec, after.unwrapped, folder, new_entropies=False, without_entropies=True
    )
    after.network.load_state_dict(weights)
    edge, middle = 96, slice(88, 104)  # beyond the reach of the outermost pixels
    jpeg = [0.3] if kept else []
    found = output(after, jpeg, edge)[..., middle, middle]
    expected = output(before, [0.0, *(jpeg or [0.0]), 0.0], edge)[..., middle, middle]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    again = saved(after, tmp_path / "again")  # one without corruptions is begun from as it is
    same = starting_weights(after.spec, after.unwrapped, again, new_entropies=False)
    assert all(torch.equal(same[name], weights[name]) for name in weights)


def test_corruptions_new_to_a_model_without_any_change_no_output(
    params: Params, tmp_path: Path
) -> None:
    knows = resolver(params, ["blur", "jpeg"])
    before = resolver(params, [])
    folder = saved(knows, tmp_path / "knows")
    taken = starting_weights(before.spec, before.unwrapped, folder, False, without_entropies=True)
    before.network.load_state_dict(taken)
    after = new_resolver(params, ["noise", "jpeg"])
    folder = saved(before, tmp_path / "start")
    weights = starting_weights(after.spec, after.unwrapped, folder, new_entropies=True)
    after.network.load_state_dict(weights)
    for entropies in ([0.0, 0.0], [0.3, 0.9]):
        found = output(after, entropies)
        torch.testing.assert_close(found, output(before, []), rtol=1e-4, atol=1e-5)


def test_a_network_of_more_blocks_begins_as_the_one_of_fewer(tmp_path: Path) -> None:
    values = tiny_mean_denoiser_params()
    few = check_params(write_yaml(tmp_path / "few.yaml", values))
    values["model"].update(mean_blocks=[1, 3, 2], denoiser_blocks=[2, 1, 1])
    many = check_params(write_yaml(tmp_path / "many.yaml", values))
    before = resolver(few, ["blur", "jpeg"])
    folder = saved(before, tmp_path / "start")
    after = new_resolver(many, ["blur", "jpeg"])
    weights = starting_weights(after.spec, after.unwrapped, folder, new_entropies=False)
    after.network.load_state_dict(weights)
    assert len(weights) > len(before.network.state_dict())
    torch.testing.assert_close(output(after, [0.2, 0.9]), output(before, [0.2, 0.9]))
    folder = saved(after, tmp_path / "deeper")
    with pytest.raises(SuperresError, match=r"mean_blocks is \[1, 3, 2\] there, \[1, 1, 1\] here"):
        starting_weights(before.spec, before.unwrapped, folder, new_entropies=False)


def begins_with_the_box(preset: Path) -> bool:
    return Path(check_params(preset).train.start_from) == BOX.relative_to(ROOT)


@pytest.mark.parametrize(
    "preset",
    sorted(filter(begins_with_the_box, (ROOT / "presets").glob("*.yaml"))),
    ids=lambda preset: preset.stem,
)
def test_presets_that_begin_with_the_box_fit_it(preset: Path) -> None:
    params = check_params(preset)
    wanted = new_resolver(params, [corruption.name for corruption in params.degrade.corruptions])
    spec = wanted.spec.model_copy(update={"scale": params.degrade.scale})
    train = params.train
    starting_weights(spec, wanted.unwrapped, BOX, train.new_entropies, train.without_entropies)


def test_what_does_not_fit_is_named(params: Params, tmp_path: Path) -> None:
    folder = saved(resolver(params, ["blur", "jpeg"]), tmp_path / "start")
    wanted = resolver(params, ["blur", "noise"])
    diffusion = params.diffusion.model_copy(update={"timesteps": 7})
    spec = wanted.spec.model_copy(update={"scale": 4, "diffusion": diffusion})
    with pytest.raises(SuperresError) as caught:
        starting_weights(spec, wanted.unwrapped, folder, new_entropies=False)
    for text in (
        "train.start_from",
        "degrade.scale is 2 there, 4 here",
        "diffusion.timesteps is 100 there, 7 here",
        "its corruptions jpeg are not in degrade.corruptions",
        "does not know the corruptions noise (train.new_entropies: true",
    ):
        assert text in str(caught.value)


def test_another_network_is_named_by_its_keys(tmp_path: Path) -> None:
    params = checked(tmp_path)
    folder = saved(resolver(params, ["blur", "jpeg"]), tmp_path / "start")
    wider = checked(tmp_path, model={"channels": 16})
    wanted = resolver(wider, ["blur", "jpeg"])
    with pytest.raises(SuperresError, match=r"model\.channels is 8 there, 16 here"):
        starting_weights(wanted.spec, wanted.unwrapped, folder, new_entropies=False)


def test_no_model_folder_is_an_error_that_names_it(project: Path, tmp_path: Path) -> None:
    with pytest.raises(SuperresError, match="nowhere: not a model folder"):
        trainer(project, tmp_path, start_from=str(tmp_path / "nowhere"))


def test_training_begins_with_the_weights_and_says_so(project: Path, tmp_path: Path) -> None:
    first = run_training(project, tmp_path, "first", steps=2, checkpoint_every=2)
    folder = first / "step-00000002"
    started = trainer(project, tmp_path, start_from=str(folder))
    for name, weight in load_model(folder).network.named_parameters():
        assert torch.equal(started.weights[name], weight), name
    second = run_training(
        project, tmp_path, "second", steps=2, checkpoint_every=2, start_from=str(folder)
    )
    described = json.loads((second / "step-00000002" / "model.json").read_text())
    assert described["provenance"]["start_from"] == str(folder)
    afresh = load_file(folder / "weights.safetensors")
    refined = load_file(second / "step-00000002" / "weights.safetensors")
    assert any(not torch.equal(afresh[name], refined[name]) for name in afresh)


def test_another_model_to_begin_from_is_another_training(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from superres.training import loop  # noqa: PLC0415 - what is watched

    names = []
    monkeypatch.setattr(loop, "training_name", lambda _, read: names.append(read) or "same")
    first = run_training(project, tmp_path, "first", steps=2, checkpoint_every=2)
    folder = str(first / "step-00000002")
    run_training(project, tmp_path, "second", steps=2, checkpoint_every=2, start_from=folder)
    assert folder not in names[0]
    assert folder in names[1]


def test_the_folder_of_noise_is_there_and_a_dependency() -> None:
    assert (ROOT / NOISE).is_dir()
    assert not (ROOT / NOISE / "model.json").exists()
    assert "      - ${train.start_from}\n" in (ROOT / "dvc.yaml").read_text()
