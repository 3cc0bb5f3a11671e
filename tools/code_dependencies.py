"""What the stages depend on, read from their source; `make deps` writes it into dvc.yaml.

A stage depends on its script and on rooms: the folders of `src/superres` that hold a module which
importing the script executes. Imports inside functions count; those under TYPE_CHECKING never run.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "superres"


def import_closure(script: Path) -> list[Path]:
    """Return the modules of `superres` that importing a script executes."""
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        tree = ast.parse(waiting.pop().read_text(encoding="utf-8"))
        modules = {path for name in imported(tree) for path in _files(name)}
        waiting += modules - found
        found |= modules
    return sorted(found)


def imported(tree: ast.AST) -> list[str]:
    """Return the names below `superres` that source code imports, in order."""
    names: list[str] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        names += imported(node)
    return [name for name in names if name.split(".")[0] == "superres"]


def room_of(module: Path) -> str:
    """Return the folder below the package that a module lies in, or a lone module's own name."""
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def rooms_of(script: Path) -> list[str]:
    """Return the rooms that a script imports, sorted."""
    return sorted({room_of(module) for module in import_closure(script)})


def code_dependencies(script: Path) -> list[str]:
    """Return what a stage's `deps` say of code: the rooms, then the script."""
    rooms = [f"src/superres/{room}" for room in rooms_of(script)]
    return [*rooms, script.relative_to(ROOT).as_posix()]


def sections_read(script: Path) -> list[str]:
    """Return the params that a script loads: the first arguments of its `load_section` calls.

    One that compares the whole file with presets (`read_origin`) reads every section.
    """
    calls = [
        (node.func.id, node.args)
        for node in ast.walk(ast.parse(script.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    if any(name == "read_origin" for name, _ in calls):
        return sorted(yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8")))
    return sorted(
        str(arguments[0].value)
        for name, arguments in calls
        if name == "load_section" and isinstance(arguments[0], ast.Constant)
    )


def stages() -> dict[str, Any]:
    """Return the stages of dvc.yaml."""
    return yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


def script_of(stage: dict[str, Any]) -> Path:
    """Return the script that a stage runs: the last word of its last command."""
    commands = stage["cmd"] if isinstance(stage["cmd"], list) else [stage["cmd"]]
    return ROOT / commands[-1].split()[-1]


def is_code(dependency: str) -> bool:
    """Whether a dependency is source code, not data."""
    return dependency.startswith(("src/", "stages/"))


def _files(name: str) -> list[Path]:
    """Return the file of a module below `superres`, a room's `__init__`, or nothing otherwise.

    The package's own `__init__` is in no room: it holds the version, which changes no result.
    """
    parts = name.split(".")[1:]
    if not parts:
        return []
    place = PACKAGE.joinpath(*parts)
    return [file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()]


def main() -> None:
    """Write the code dependencies of every stage into dvc.yaml, keeping all else as it is."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - DVC brings it; only this tool needs it

    editor = YAML()
    editor.width = 200
    editor.indent(mapping=2, sequence=4, offset=2)
    document = editor.load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    for stage in document["stages"].values():
        data = [name for name in stage["deps"] if not is_code(name)]
        stage["deps"] = data + code_dependencies(script_of(stage))
    with (ROOT / "dvc.yaml").open("w", encoding="utf-8") as file:
        editor.dump(document, file)


if __name__ == "__main__":
    main()
