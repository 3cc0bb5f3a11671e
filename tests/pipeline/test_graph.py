"""The graph is honest: stages declare what they read, run with nothing else, and repeat."""

from __future__ import annotations

import ast
import hashlib
import json
import shutil
from pathlib import Path

import pytest
import yaml

from forking import End, Run, story
from support import environment, run, tiny_params, write_yaml
from tools.code_dependencies import (
    code_dependencies,
    imported,
    is_code,
    rooms_of,
    script_of,
    sections_read,
    stages,
)

STAGES = stages()


@pytest.mark.parametrize("name", STAGES)
def test_declared_code_is_what_the_script_imports(name: str) -> None:
    stage = STAGES[name]
    declared = [dependency for dependency in stage["deps"] if is_code(dependency)]
    assert declared == code_dependencies(script_of(stage)), "run `make deps`"


@pytest.mark.parametrize("name", STAGES)
def test_declared_params_are_what_the_script_loads(name: str) -> None:
    assert sorted(STAGES[name].get("params", [])) == sections_read(script_of(STAGES[name]))


def test_closure_sees_imports_in_functions_but_not_those_for_types_only() -> None:
    source = """
if TYPE_CHECKING:
    from superres.networks import unet
def late():
    from superres.core.storage import write_csv
import superres.core.errors
"""
    assert imported(ast.parse(source)) == [
        "superres.core.storage",
        "superres.core.storage.write_csv",
        "superres.core.errors",
    ]
    assert "sampling" not in rooms_of(script_of(STAGES["train"]))
    assert "training" not in rooms_of(script_of(STAGES["sample"]))


def test_sampler_changes_nothing_but_sample_evaluate_report(project: Path) -> None:
    done = run(project, "dvc", "exp", "run", "-S", "sampler.steps=3")
    ran = [line.split("'")[1] for line in done.stdout.splitlines() if "Running stage" in line]
    assert ran == ["sample", "evaluate", "report", "machine"]
    copy = (project / "reports" / "run.html").read_text()
    assert "images per second" in copy and "<h3>Hashes</h3>" in copy
    run(project, "git", "checkout", "--quiet", "--", ".")
    run(project, "dvc", "checkout")


def test_a_fresh_clone_pulls_and_has_nothing_to_do(project: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    run(tmp_path, "git", "clone", "--quiet", str(project), str(clone))
    run(clone, "dvc", "remote", "add", "--default", "storage", str(tmp_path / "remote"))
    (project / ".dvc" / "config.local").write_text((clone / ".dvc" / "config").read_text())
    try:
        run(project, "dvc", "push")
    finally:
        (project / ".dvc" / "config.local").unlink()
    run(clone, "dvc", "pull")
    done = run(clone, "dvc", "repro")
    assert "Running stage" not in done.stdout
    assert "up to date" in done.stdout


def test_a_typo_anywhere_ends_the_first_stage_that_would_run(project: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    run(tmp_path, "git", "clone", "--quiet", str(project), str(clone))
    params = tiny_params()
    params["report"]["titel"] = params["report"].pop("title")
    write_yaml(clone / "params.yaml", params)
    done = run(clone, "dvc", "repro", check=False)
    assert done.returncode != 0
    assert "params.yaml: report: unknown key 'titel' (did you mean 'title'?)" in done.stderr
    assert not (clone / "data" / "tiles").exists()


def test_plots_are_shown_with_curves_and_pictures(project: Path) -> None:
    told = json.loads(run(project, "dvc", "plots", "show", "--json").stdout)
    assert not told.get("errors")
    shown = told["data"]
    curves = {name: plots[0]["content"] for name, plots in shown.items() if "." not in name}
    assert {"training", "learning_rate", "selection", "samplers_swd", "plane"} <= set(curves)
    # Validation is measured now and then; an empty cell is no loss of 0.
    without_gaps = {"not": {"field": "dvc_inferred_y_value", "equal": ""}}
    assert without_gaps in curves["training"]["transform"][0]["filter"]["and"]
    assert curves["plane"]["layer"][1]["encoding"]["text"]["field"] == "contender"
    pictures = [name for name, plots in shown.items() if plots[0]["type"] == "image"]
    assert {"reports/restored.png", "reports/explore/entropies.png"} <= set(pictures)
    assert any(name.startswith("reports/previews") for name in pictures)


def test_nothing_to_do_after_repro(project: Path) -> None:
    assert "up to date" in run(project, "dvc", "status").stdout


@pytest.fixture(scope="module")
def alone(project: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, End]]:
    """Return where each stage's script ran with nothing but its declared inputs, and how it ended.

    The script alone: the check of all params, which comes before it, can end a stage but not
    change what it writes.
    """
    declared = yaml.safe_load((project / "dvc.yaml").read_text())["stages"]
    named = {
        "${data.source}": "photographs",
        "${train.start_from}": "models/noise",
        "${entropy.start_from}": "models/noise",
    }
    folders = {name: tmp_path_factory.mktemp(name) for name in STAGES}
    for name, folder in folders.items():
        for dependency in (named.get(each, each) for each in declared[name]["deps"]):
            source, target = project / dependency, folder / dependency
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
        shutil.copy(project / "params.yaml", folder)
    runs = [
        Run(str(folder), stage=script_of(STAGES[name]).name, own_code=True)
        for name, folder in folders.items()
    ]
    return dict(
        zip(STAGES, zip(folders.values(), story(runs, environment()), strict=True), strict=True)
    )


@pytest.mark.parametrize("name", STAGES)
def test_stage_runs_with_its_declared_inputs_alone_and_repeats(
    name: str, project: Path, alone: dict[str, tuple[Path, End]]
) -> None:
    """Run from the same inputs in another folder, a stage writes the same bytes."""
    folder, end = alone[name]
    assert end.status == 0, end.output
    stage = STAGES[name]
    outs = [*stage.get("outs", []), *stage.get("metrics", [])]
    for out in outs:
        path = next(iter(out)) if isinstance(out, dict) else out
        assert _digest(folder / path) == _digest(project / path), path


def _digest(path: Path) -> dict[str, str]:
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    assert files, path
    return {
        file.relative_to(path).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
    }
