from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from superres.config import check
from superres.config.check import Params, check_params
from superres.core.errors import SuperresError
from superres.core.params import load_section, parse_section, read_params
from superres.degradation.config import CorruptionParams
from superres.degradation.degrade import DISTRIBUTIONS
from superres.diffusion.config import DiffusionParams
from superres.diffusion.losses import WEIGHTINGS
from superres.diffusion.process import PREDICTIONS, VARIANCES
from superres.diffusion.schedule import SCHEDULES
from superres.metrics import fidelity
from superres.metrics.baselines import BASELINES
from superres.metrics.config import EvaluateParams, FeaturesParams
from superres.sampling.config import SamplerParams
from superres.sampling.samplers import SAMPLERS
from superres.sampling.spacing import SPACINGS
from superres.selection.config import SelectParams
from superres.selection.select import affordable
from superres.selection.verdict import HIGHER_IS_BETTER
from superres.training.config import LossParams, TrainParams
from superres.training.objectives import OBJECTIVES
from support import ROOT, tiny_params, write_yaml


def write(path: Path, params: Any) -> Path:
    path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    return path


def changed(tmp_path: Path, key: str, value: Any) -> Path:
    params = tiny_params()
    *parts, last = key.split(".")
    holder = params
    for part in parts:
        holder = holder[part]
    if value is ...:
        del holder[last]
    else:
        holder[last] = value
    return write(tmp_path / "params.yaml", params)


def test_the_projects_own_params_are_right() -> None:
    path = ROOT / "params.yaml"
    params = check_params(path)
    assert isinstance(params, Params)
    assert params.sampler.model_dump() == read_params(path)["sampler"]


def test_a_section_is_loaded_and_frozen() -> None:
    sampler = load_section("sampler", SamplerParams, ROOT / "params.yaml")
    with pytest.raises(ValueError, match="frozen"):
        sampler.steps = 3


@pytest.mark.parametrize("written", ["off", "'off'", "false"])
def test_off_is_off_however_yaml_reads_it(tmp_path: Path, written: str) -> None:
    path = tmp_path / "params.yaml"
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    path.write_text(text.replace("inception: auto", f"inception: {written}"), encoding="utf-8")
    assert check_params(path).evaluate.features.inception == "off"


def test_a_part_of_a_section_is_loaded() -> None:
    features = load_section("evaluate.features", FeaturesParams, ROOT / "params.yaml")
    assert features.swd.projections > 0


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("sampler.steps", 0, "sampler.steps: must be between 1 and 4000, got 0"),
        ("sampler.steps", 50.5, "sampler.steps: must be a valid integer, got 50.5"),
        ("sampler.steps", "50", "sampler.steps: must be a valid integer, got '50'"),
        ("sampler.steps", True, "sampler.steps: must be a valid integer, got True"),
        ("sampler.steps", ..., "sampler: missing key 'steps'"),
        (
            "train.learning_rat",
            1,
            "train: unknown key 'learning_rat' (did you mean 'learning_rate'?)",
        ),
        ("train.loss.knd", 1, "train.loss: unknown key 'knd' (did you mean 'kind'?)"),
        ("train.loss.kind", "mae", "train.loss.kind: must be one of"),
        (
            "train.averaging.ema",
            1.0,
            "train.averaging.ema: must be at least 0 and less than 1, got 1.0",
        ),
        ("report.title", "", "report.title"),
        ("samplr", {}, "unknown section 'samplr' (did you mean 'sampler'?)"),
        ("report", ..., "missing section 'report'"),
        ("strengths", {}, "params.yaml: unknown section 'strengths': it is called 'entropy' now"),
        (
            "explore.strengths",
            [0.5],
            "params.yaml: explore: unknown key 'strengths': it is called 'entropies' now",
        ),
        ("data.tile_size", 33, "data.tile_size: must be a multiple of degrade.scale 2, got 33"),
        ("sampler.steps", 101, "sampler.steps: must be at most diffusion.timesteps 100, got 101"),
        ("train.micro_batches", 3, "train.batch: must be a multiple of train.micro_batches 3"),
        (
            "train.crop",
            34,
            "train.crop: must be a multiple of degrade.scale 2 and at most data.tile",
        ),
        ("train.fresh_corruptions", 2.0, "fresh_corruptions: must be between 0 and 1, got 2.0"),
        ("data.split.val", 0.9, "val and test must leave photographs to train on"),
        ("evaluate.border_crop", 11, "evaluate.border_crop: must leave 11 of data.tile_size 32"),
        ("explore.entropies", [0.0, 2.0], "explore.entropies.1: must be between 0 and 1, got 2.0"),
        (
            "sampler.guidance.scale",
            1.5,
            "train.drop.low: must be above 0 for sampler.guidance that drops 'low', got 0.0",
        ),
        ("sampler.guidance.drop", [], "sampler.guidance.drop"),
        ("sampler.guidance.drop", ["class"], "sampler.guidance.drop.0: must be one of"),
        ("sampler.spacing", "even", "sampler.spacing: must be one of"),
        (
            "train.loss.timesteps",
            "loss_second_moment",
            "train.loss.high_noise: must be 0 with timesteps 'loss_second_moment'",
        ),
        ("train.drop.low", 1.5, "train.drop.low: must be between 0 and 1, got 1.5"),
        (
            "evaluate.features.inception",
            "on",
            "inception: must be one of 'auto' or 'off', got 'on'",
        ),
        ("evaluate.kid.subset_size", 1, "kid.subset_size: must be between 2 and 20000, got 1"),
        ("train.clip_norm", -1.0, "train.clip_norm: must be greater than 0, got -1.0"),
        ("model.channel_mult", [0, 1], "model.channel_mult.0: must be between 1 and 16, got 0"),
        ("data.split.test", 0.0, "data.split.test: must be greater than 0 and less than 1"),
        ("diffusion.timesteps", 20, "diffusion.timesteps: must be at least 21 for linear, got 20"),
        ("model.attention", [4], "model.attention: must be among [1, 2], got 4"),
        ("model.groupnorm", "fixed_32", "model.channels: fixed_32 needs multiples of 32"),
    ],
)
def test_faults_name_file_key_value_and_what_is_allowed(
    tmp_path: Path, key: str, value: Any, message: str
) -> None:
    path = changed(tmp_path, key, value)
    with pytest.raises(SuperresError) as caught:
        check_params(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_from_before_entropies_had_their_name_gets_the_new_ones(tmp_path: Path) -> None:
    params = tiny_params()
    params["strengths"] = params.pop("entropy")
    path = write(tmp_path / "params.yaml", params)
    with pytest.raises(SuperresError) as caught:
        check_params(path)
    assert str(caught.value) == f"{path}: unknown section 'strengths': it is called 'entropy' now"
    params["entropy"] = params.pop("strengths")
    params["explore"]["strengths"] = params["explore"].pop("entropies")
    with pytest.raises(SuperresError) as caught:
        check_params(write(path, params))
    wanted = f"{path}: explore: unknown key 'strengths': it is called 'entropies' now"
    assert str(caught.value) == wanted


def test_averages_are_made_of_kept_ones_only(tmp_path: Path) -> None:
    params = tiny_params()
    params["select"]["ema_lengths"] = [0.1]
    check_params(write(tmp_path / "params.yaml", params))
    params["train"]["averaging"]["power"] = []
    with pytest.raises(SuperresError, match=r"select\.ema_lengths: must be \[\] .*got \[0\.1\]"):
        check_params(write(tmp_path / "params.yaml", params))


def test_heads_must_divide_the_widths_that_attend(tmp_path: Path) -> None:
    params = tiny_params()
    params["model"].update(middle_attention=True, heads=5)
    with pytest.raises(SuperresError, match=r"model\.heads: must divide the 16 channels, got 5"):
        check_params(write(tmp_path / "params.yaml", params))
    params["model"].update(head_channels=3)
    with pytest.raises(SuperresError, match=r"model\.head_channels: must divide the 16 .* got 3"):
        check_params(write(tmp_path / "params.yaml", params))


def test_names_that_params_allow_are_those_of_the_tables() -> None:
    allowed = {
        (SamplerParams, "name"): SAMPLERS,
        (SamplerParams, "spacing"): ["linear", *SPACINGS],
        (DiffusionParams, "schedule"): SCHEDULES,
        (DiffusionParams, "prediction"): PREDICTIONS,
        (DiffusionParams, "variance"): VARIANCES,
        (LossParams, "kind"): OBJECTIVES,
        (LossParams, "weighting"): WEIGHTINGS,
        (SelectParams, "metric"): HIGHER_IS_BETTER,
        (CorruptionParams, "distribution"): DISTRIBUTIONS,
    }
    for (section, key), table in allowed.items():
        assert set(get_args(section.model_fields[key].annotation)) == set(table), key
    listed = get_args(get_args(EvaluateParams.model_fields["baselines"].annotation)[0])
    assert set(listed) == set(BASELINES)
    assert check.SSIM_WINDOW == fidelity.SSIM_WINDOW


def test_min_snr_weights_need_a_squared_error(tmp_path: Path) -> None:
    params = tiny_params()
    params["train"]["loss"].update(kind="rescaled_kl", min_snr_gamma=5.0)
    with pytest.raises(SuperresError, match=r"min_snr_gamma: must be null with kind 'rescaled_kl'"):
        check_params(write(tmp_path / "params.yaml", params))


def test_corruption_faults_name_their_place_in_the_list(tmp_path: Path) -> None:
    params = tiny_params()
    params["degrade"]["corruptions"][1]["kind"] = "jpg"
    params["degrade"]["corruptions"][0]["low"] = 2
    with pytest.raises(SuperresError) as caught:
        check_params(write(tmp_path / "params.yaml", params))
    assert "degrade.corruptions.1.kind: must be one of" in str(caught.value)
    assert "degrade.corruptions.0.low: must be between 0 and 1, got 2" in str(caught.value)


def test_two_corruptions_of_one_name_are_refused(tmp_path: Path) -> None:
    params = tiny_params()
    params["degrade"]["corruptions"][1]["name"] = "blur"
    with pytest.raises(SuperresError, match="'blur' stands twice"):
        check_params(write(tmp_path / "params.yaml", params))


def test_all_faults_are_listed_at_once(tmp_path: Path) -> None:
    params = tiny_params()
    params["sampler"]["steps"] = 0
    params["report"]["zoom"] = 99
    with pytest.raises(SuperresError) as caught:
        check_params(write(tmp_path / "params.yaml", params))
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "not YAML"),
        ("train: 1\ntrain: 2", "is duplicated"),
        ("- 1", "must hold sections"),
        ("!!python/object/apply:os.system ['true']", "not YAML"),
    ],
)
def test_a_file_that_is_no_params_file(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(SuperresError, match=message) as caught:
        read_params(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SuperresError, match=r"nowhere\.yaml: cannot be read"):
        read_params(tmp_path / "nowhere.yaml")


def test_numbers_in_scientific_notation_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("a: {b: 3e-4, c: 1.5E+2, d: 12}")
    assert read_params(path) == {"a": {"b": 3e-4, "c": 150.0, "d": 12}}


def test_the_check_exits_with_one_line_per_fault(tmp_path: Path) -> None:
    path = changed(tmp_path, "train.steps", 0)
    done = subprocess.run(
        [sys.executable, "-m", "superres.config", str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT / "src")},
    )
    assert done.returncode == 1
    assert done.stderr.strip() == (f"{path}: train.steps: must be between 1 and 100000000, got 0")


def test_checking_does_not_import_torch() -> None:
    code = "import superres.config.check, sys; sys.exit('torch' in sys.modules)"
    env = {"PYTHONPATH": str(ROOT / "src")}
    assert subprocess.run([sys.executable, "-c", code], check=False, env=env).returncode == 0


@pytest.mark.parametrize("path", sorted((ROOT / "presets").glob("*.yaml")), ids=lambda p: p.stem)
def test_presets_are_complete(path: Path) -> None:
    params = check_params(path)
    assert isinstance(params.train, TrainParams)


@pytest.mark.parametrize("sampler", ["ddpm", "heun"])
def test_the_least_budget_is_what_selecting_needs(tmp_path: Path, sampler: str) -> None:
    params = tiny_params()
    params["train"].update(steps=7, checkpoint_every=3)
    params["select"].update(sampler=sampler, steps=4, ema_lengths=[0.05, 0.1], budget=1)
    with pytest.raises(SuperresError, match="to score 9 candidates on 2 tiles, got 1") as caught:
        check_params(write(tmp_path / "params.yaml", params))
    least = int(str(caught.value).split("at least ")[1].split()[0])
    for budget in (least - 1, least):
        select = parse_section("select", SelectParams, {**params["select"], "budget": budget})
        params["select"]["budget"] = budget
        path = write(tmp_path / "params.yaml", params)
        if budget < least:
            with pytest.raises(SuperresError, match=r"select\.budget"):
                affordable(select, 9, 100)
        else:
            check_params(path)
            assert affordable(select, 9, 100) == 2


def test_a_salt_may_be_a_whole_number(tmp_path: Path) -> None:
    assert check_params(changed(tmp_path, "data.split.salt", 12)).data.split.salt == "12"
    with pytest.raises(SuperresError, match="salt"):
        check_params(changed(tmp_path, "data.split.salt", True))


def test_corruptions_that_are_evened_must_be_there(tmp_path):
    params = tiny_params()
    params["entropy"]["evenly"] = ["jpeg", "dust"]
    with pytest.raises(SuperresError, match=r"entropy\.evenly: 'dust' is none of"):
        check_params(write_yaml(tmp_path / "params.yaml", params))
