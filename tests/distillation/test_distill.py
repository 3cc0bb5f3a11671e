"""Students: trained, stopped and gone on with, sampled, explored, restored with, refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image
from students import USUAL, build, train_student

import superres
from superres.app.settings import FEW, Settings, command, sampling_options
from superres.cli import main
from superres.config.check import check_params
from superres.core.errors import SuperresError
from superres.core.params import parse_section
from superres.distillation.no_student import write_no_student
from superres.explore.config import ExploreParams
from superres.explore.explore import explore
from superres.model.folder import (
    STUDENT,
    is_model,
    load_model,
    read_spec,
    read_weights,
    save_student,
)
from superres.sampling.config import SamplerParams
from superres.sampling.test_set import restore_tiles
from superres.training.trainer import Trainer
from support import ROOT, tiny_mean_denoiser_params, tiny_params, write_yaml
from tools.release_box import add_student


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def student(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_student(run, tmp_path_factory.mktemp("student"))


def sampler_params() -> SamplerParams:
    told = {**tiny_mean_denoiser_params()["sampler"], "repeats": 1}
    return parse_section("sampler", SamplerParams, told)


def test_a_student_is_a_model_whose_mean_is_its_teachers(run: Path, student: Path) -> None:
    spec = read_spec(student)
    before, after = read_weights(run / "best"), read_weights(student)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert set(before) == set(after)
    assert changed and {name.partition(".")[0] for name in changed} == {"denoiser"}
    told = {"sampler": "ddim", "steps": 2, "spacing": "trailing_angle", "student": True}
    assert spec.sampling == USUAL.model_copy(update=told)
    assert spec.provenance["distilled"]["steps"] == 2
    stored = json.loads((run / "best" / "model.json").read_text())
    assert "student" not in stored["sampling"], "what is no student is stored as it was before"
    log = pd.read_csv(student.parent / "distill.csv")
    assert list(log["step"]) == [1, 2, 3, 4, 5, 6] and {"energy", "teacher"} <= set(log)
    assert not (student.parent / ".distillation").exists() or not list(
        (student.parent / ".distillation").iterdir()
    )


def test_a_killed_distillation_ends_in_the_same_bits(
    run: Path, student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = Trainer.advance

    def killed(trainer: Trainer) -> object:
        if trainer.step == 4:
            raise KeyboardInterrupt
        return advance(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "advance", killed)
        with pytest.raises(KeyboardInterrupt):
            train_student(run, tmp_path)
    assert not (tmp_path / "student").exists()
    steps = []
    monkeypatch.setattr(Trainer, "advance", lambda t: steps.append(t.step) or advance(t))
    again = train_student(run, tmp_path)
    assert steps == [4, 5], "it goes on, and does not begin anew"
    for name in ("model.json", "weights.safetensors"):
        assert (again / name).read_bytes() == (student / name).read_bytes(), name
    log = "distill.csv"
    assert (tmp_path / log).read_bytes() == (student.parent / log).read_bytes()


def test_without_a_student_samples_are_what_they_were(run: Path, tmp_path: Path) -> None:
    write_no_student(tmp_path / "none", tmp_path / "distill.csv")
    assert not is_model(tmp_path / "none")
    given = sampler_params(), run / "best", run / "tiles", run / "pairs"
    restore_tiles(*given, tmp_path / "a")
    restore_tiles(*given, tmp_path / "b", tmp_path / "none")
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes(), file.name
    facts = json.loads((tmp_path / "a" / "sampling.json").read_text())
    assert "student" not in facts and facts["steps"] == 4


def test_a_student_restores_the_test_set_by_its_own_steps(
    run: Path, student: Path, tmp_path: Path
) -> None:
    params = sampler_params()
    given = run / "best", run / "tiles", run / "pairs"
    restore_tiles(params, *given, tmp_path / "a", student)
    facts = json.loads((tmp_path / "a" / "sampling.json").read_text())
    assert (facts["student"], facts["evaluations"]) == (True, 2)
    assert (facts["sampler"], facts["steps"], facts["spacing"]) == ("ddim", 2, "trailing_angle")
    finish = {name: facts[name] for name in params.finishing()}
    assert finish == params.finishing(), "what does not depend on steps still counts"
    restore_tiles(params, *given, tmp_path / "b")
    estimates = [np.load(tmp_path / name / "estimate-00000.npy") for name in "ab"]
    samples = [np.load(tmp_path / name / "model-00000.npy") for name in "ab"]
    assert np.array_equal(*estimates) and not np.array_equal(*samples)
    guided = params.model_copy(update={"guidance": params.guidance.model_copy(update={"scale": 1})})
    with pytest.raises(SuperresError, match=r"guidance\.scale: must be 0 for a student"):
        restore_tiles(guided, *given, tmp_path / "c", student)


def test_curves_show_teacher_and_student(run: Path, student: Path, tmp_path: Path) -> None:
    params = parse_section("explore", ExploreParams, tiny_mean_denoiser_params()["explore"])
    given = run / "best", run / "tiles", run / "pairs"
    facts = explore(params, *given, tmp_path / "out", student)
    table = pd.read_csv(tmp_path / "out" / "steps.csv")
    row = table[table["sampler"] == "student"]
    assert row[["spacing", "steps", "evaluations"]].to_numpy().tolist() == [
        ["trailing_angle", 2, 2]
    ]
    assert "student trailing_angle" in facts["milliseconds_per_tile"]
    explore(params, *given, tmp_path / "alone")
    alone = pd.read_csv(tmp_path / "alone" / "steps.csv")
    pd.testing.assert_frame_equal(alone, table[table["sampler"] != "student"])


def test_a_student_beside_its_teacher_restores_fast(
    run: Path, student: Path, tmp_path: Path
) -> None:
    before = (run / "best" / "weights.safetensors").read_bytes()
    picture = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
    usual = superres.load(run / "best").restore(picture, jpeg=0.5)
    with pytest.raises(SuperresError, match=r"best: has no student to restore fast with"):
        superres.load(run / "best", fast=True)
    named = [str(tmp_path / "in.png"), str(tmp_path / "out.png"), "--model", str(run / "best")]
    Image.fromarray(picture).save(named[0])
    assert main(["restore", *named, "--fast"]) != 0
    assert not (tmp_path / "out.png").exists()

    sampling = read_spec(student).sampling
    assert sampling is not None
    weights = read_weights(student)
    changed = {name: weights[name] for name in load_model(student).unwrapped.distilled()}
    save_student(run / "best", sampling, changed)
    try:
        fast = superres.load(run / "best", fast=True)
        assert np.array_equal(
            fast.restore(picture, jpeg=0.5), superres.load(student).restore(picture, jpeg=0.5)
        )
        how = fast.sampling()
        assert how is not None and (how.sampler, how.evaluations) == ("ddim", 2)
        assert np.array_equal(superres.load(run / "best").restore(picture, jpeg=0.5), usual)
        assert main(["restore", *named, "--fast", "--jpeg", "0.5"]) == 0
        written = np.asarray(Image.open(tmp_path / "out.png").convert("RGB"))
        assert np.array_equal(written, fast.restore(Image.open(named[0]), jpeg=0.5))
        (run / "best" / STUDENT).write_bytes(b"half a file")
        with pytest.raises(SuperresError, match=r"student.safetensors: not readable"):
            superres.load(run / "best", fast=True)
    finally:
        (run / "best" / STUDENT).unlink()
    assert (run / "best" / "weights.safetensors").read_bytes() == before


def test_releasing_keeps_the_weights_that_differ(run: Path, student: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for name in ("model.json", "weights.safetensors"):
        (model / name).write_bytes((run / "best" / name).read_bytes())
    add_student(student, run / "best", model, {})
    assert (model / STUDENT).stat().st_size < (model / "weights.safetensors").stat().st_size / 2
    fast, whole = load_model(model, fast=True), load_model(student)
    pairs = zip(fast.network.parameters(), whole.network.parameters(), strict=True)
    assert all(torch.allclose(one, other, rtol=1e-3, atol=1e-5) for one, other in pairs)
    assert fast.spec.sampling == whole.spec.sampling
    own = {"fidelity": 0.25, "coring": 7.0}
    add_student(student, run / "best", model, own)
    released = load_model(model, fast=True).spec.sampling
    assert whole.spec.sampling is not None
    assert released == whole.spec.sampling.model_copy(update=own)
    with pytest.raises(ValueError, match="fidelity"):
        add_student(student, run / "best", model, {"fidelity": 1.5})
    with pytest.raises(SystemExit, match="not a student"):
        add_student(run / "best", run / "best", model, {})


def test_a_student_has_no_likelihood(
    run: Path, student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = ["--tiles", str(run / "tiles"), "--pairs", str(run / "pairs"), "--model", str(student)]
    assert main(["likelihood", str(tmp_path / "out"), *named]) != 0
    said = capsys.readouterr().err
    assert "a student, distilled for the few timesteps that it samples at, has no bound" in said


def test_the_page_samples_a_student_in_its_own_way(run: Path, student: Path) -> None:
    told = {folder: Settings(str(folder), {}, FEW) for folder in (run / "best", student)}
    assert "--steps 15" in command(told[run / "best"], "a.png")
    assert command(told[student], "a.png").endswith(f"--model {student} --sample")
    assert sampling_options(Settings(str(student), {})) == {"estimate": True}


def test_the_stage_without_a_student_loads_no_torch(tmp_path: Path) -> None:
    write_yaml(tmp_path / "params.yaml", tiny_params())
    script = ROOT / "stages" / "distill.py"
    code = (
        "import runpy, sys\n"
        f"runpy.run_path({str(script)!r}, run_name='__main__')\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not is_model(tmp_path / "models" / "student")
    assert (tmp_path / "reports" / "distill.csv").read_text() == "step,loss\n"


def test_guidance_and_a_student_do_not_go_together(tmp_path: Path) -> None:
    params = tiny_params()
    params["train"]["drop"].update(low=0.1, entropies=0.1)
    params["sampler"]["guidance"]["scale"] = 1.0
    params["distill"]["steps"] = 4
    with pytest.raises(SuperresError, match=r"guidance.scale: must be 0 with distill.steps 4"):
        check_params(write_yaml(tmp_path / "params.yaml", params))
    params["distill"]["steps"] = 3
    with pytest.raises(SuperresError, match=r"distill.steps: must be one of 0, 1, 2 or 4, got 3"):
        check_params(write_yaml(tmp_path / "params.yaml", params))


def test_it_is_off_unless_asked_for() -> None:
    for preset in [ROOT / "params.yaml", *(ROOT / "presets").glob("*.yaml")]:
        if preset.name != "box.yaml":
            assert yaml.safe_load(preset.read_text())["distill"]["steps"] == 0, preset
