"""Which rooms of the house may know which."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from graph import SOURCE, _imported, import_closure, script_of, stages

PACKAGE = SOURCE / "superres"
FORBIDDEN = {
    "data": ["models", "diffusion", "training", "restoration", "evaluation", "reporting"],
    "models": ["data", "diffusion", "training", "restoration", "evaluation", "reporting"],
    "diffusion": ["data", "models", "training", "restoration", "evaluation", "reporting"],
    "evaluation": ["data", "models", "diffusion", "training", "restoration", "reporting"],
    "reporting": ["data", "models", "diffusion", "training", "restoration", "exploring"],
    "training": ["estimation", "restoration", "reporting", "exploring"],
    "restoration": ["training", "reporting", "exploring"],
    "estimation": ["models", "diffusion", "training", "restoration", "evaluation", "reporting"],
    "exploring": ["training", "estimation", "restoration", "measurement"],
    "params": ["data", "models", "diffusion", "training", "restoration", "evaluation", "reporting"],
}
MODULES = sorted(PACKAGE.rglob("*.py"))


JOINERS = {"model_folder", "inference", "measurement", "exploring", "likelihood", "stage"}


@pytest.mark.parametrize(
    "room", ["data", "models", "diffusion", "estimation", "evaluation", "params"]
)
def test_rooms_below_do_not_know_what_joins_them(room: str) -> None:
    for path in sorted((PACKAGE / room).rglob("*.py")):
        # src/superres/exploring/sizes.py is of the room exploring, src/superres/stage.py one itself
        known = {Path(name).parts[2].removesuffix(".py") for name in import_closure(path)}
        assert not known & JOINERS, path


@pytest.mark.parametrize("room", FORBIDDEN)
def test_rooms_import_only_what_they_may(room: str) -> None:
    for path in sorted((PACKAGE / room).rglob("*.py")):
        imported = _imported(ast.parse(path.read_text(encoding="utf-8")))
        rooms = {name.split(".")[1] for name in imported if name.count(".")}
        assert not rooms & set(FORBIDDEN[room]), path


def test_nothing_imports_the_stages() -> None:
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        names += [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
        assert not [name for name in names if name.split(".")[0] == "stages"], path


@pytest.mark.parametrize("stage", ["photos", "tile", "degrade", "report", "machine"])
def test_stages_without_networks_do_not_import_torch(stage: str) -> None:
    for name in import_closure(script_of(stages()[stage])):
        tree = ast.parse((SOURCE.parent / name).read_text(encoding="utf-8"))
        names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        names += [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
        assert "torch" not in {imported.split(".")[0] for imported in names}, name


def test_files_stay_small_enough_to_read() -> None:
    long = {p.name: n for p in MODULES if (n := len(p.read_text().splitlines())) > 300}
    assert not long


def test_stage_scripts_fit_on_a_screen_and_shadow_nothing() -> None:
    import sys  # noqa: PLC0415

    for stage in stages().values():
        script: Path = script_of(stage)
        assert len(script.read_text().splitlines()) <= 60, script
        assert script.stem not in sys.stdlib_module_names, script
