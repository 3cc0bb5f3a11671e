"""Which rooms of the house may know which, and what keeps them apart."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from tools.code_dependencies import (
    PACKAGE,
    import_closure,
    imported,
    room_of,
    script_of,
    stages,
)

MODULES = sorted(PACKAGE.rglob("*.py"))
GROUND = {"core"}
MAY_IMPORT = {
    "core": set(),
    "data": GROUND,
    "degradation": GROUND,
    "networks": GROUND,
    "diffusion": GROUND,
    "metrics": GROUND,
    "model": GROUND | {"networks", "diffusion"},
    "entropy": GROUND | {"degradation"},
    "interop": GROUND | {"networks", "diffusion", "model", "degradation"},
    "training": GROUND | {"degradation", "networks", "diffusion", "model"},
    "sampling": GROUND | {"degradation", "networks", "diffusion", "model"},
    "distillation": GROUND
    | {"degradation", "networks", "diffusion", "model", "sampling", "training"},
    "selection": GROUND
    | {"degradation", "networks", "diffusion", "model", "metrics", "sampling", "training"},
    "evaluation": GROUND | {"degradation", "metrics"},
    "restoration": GROUND | {"networks", "diffusion", "model", "sampling", "entropy"},
    "explore": GROUND
    | {
        "data",
        "degradation",
        "networks",
        "diffusion",
        "model",
        "metrics",
        "sampling",
        "restoration",
    },
    "benchmark": GROUND | {"degradation", "metrics"},
    "reporting": GROUND | {"metrics"},
    "app": GROUND | {"model", "sampling", "restoration"},
}
"""What each room may import beside itself. `config`, `commands` and the command line may import
any; nothing imports them."""
TOP = {"config", "commands", "cli", "__main__", "__init__"}


def test_every_room_has_its_directions() -> None:
    assert {room_of(path) for path in MODULES} == set(MAY_IMPORT) | TOP


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_rooms_import_only_what_they_may(room: str) -> None:
    for path in sorted((PACKAGE / room).rglob("*.py*")):
        if path.suffix in (".py", ".pyi"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            rooms = {name.split(".")[1] for name in _all_imported(tree) if name.count(".")}
            assert rooms <= MAY_IMPORT[room] | {room}, path


def test_no_module_is_part_of_a_circle_not_even_for_types() -> None:
    """Modules can be put in an order in which each imports only those before it."""
    imports = {
        path: {
            PACKAGE.joinpath(*name.split(".")[1:]).with_suffix(".py")
            for name in _all_imported(ast.parse(path.read_text(encoding="utf-8")))
        }
        & set(MODULES)
        for path in MODULES
    }
    while imports:
        free = {path for path, needed in imports.items() if not needed & set(imports)}
        assert free, sorted(str(path.relative_to(PACKAGE)) for path in imports)
        imports = {path: needed for path, needed in imports.items() if path not in free}


def test_at_most_two_modules_import_by_a_string() -> None:
    dynamic = [
        p for p in MODULES if "import_module" in p.read_text() or "__import__" in p.read_text()
    ]
    assert len(dynamic) <= 2, dynamic


def test_nothing_imports_the_stages() -> None:
    for path in MODULES:
        assert "stages" not in {name.split(".")[0] for name in _names(path)}, path


@pytest.mark.parametrize("stage", ["photos", "tile", "degrade", "report", "machine"])
def test_stages_without_networks_do_not_import_torch(stage: str) -> None:
    for path in import_closure(script_of(stages()[stage])):
        assert "torch" not in {name.split(".")[0] for name in _names(path)}, path


def test_params_are_checked_without_torch() -> None:
    for path in [*import_closure(PACKAGE / "config" / "__main__.py"), *PACKAGE.rglob("config.py")]:
        assert "torch" not in {name.split(".")[0] for name in _names(path)}, path


def test_no_two_modules_of_one_name_hold_different_things() -> None:
    names = [path.stem for path in MODULES if path.stem not in {"__init__", "__main__", "config"}]
    assert sorted(set(names)) == sorted(names)


def test_files_stay_small_enough_to_read() -> None:
    long = {p.name: n for p in MODULES if (n := len(p.read_text().splitlines())) > 350}
    assert not long


def test_stage_scripts_fit_on_a_screen_and_shadow_nothing() -> None:
    for stage in stages().values():
        script: Path = script_of(stage)
        assert len(script.read_text().splitlines()) <= 60, script
        assert script.stem not in sys.stdlib_module_names, script


def _names(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return names + [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]


def _all_imported(tree: ast.AST) -> list[str]:
    """Return what is imported below `superres`, for type checkers too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If):
            node.test = ast.Constant(value=True)
    return imported(tree)
