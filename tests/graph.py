"""What the stages really depend on, read from their source; `python tests/graph.py` mends dvc.yaml.

The import closure of a script is every module of `superres` that importing it executes, packages'
`__init__` files included. Imports inside functions count too; those under TYPE_CHECKING do not,
since they never run.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"


def import_closure(script: Path) -> list[str]:
    """Return the files of `superres` that a script imports, with itself, relative to the root."""
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for module in _imported(ast.parse(path.read_text(encoding="utf-8"))):
            waiting += _files(module)
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def sections_read(script: Path) -> list[str]:
    """Return the params that a script loads: the first arguments of its `load_section` calls.

    One that compares the whole file with presets (`read_origin`) reads every section.
    """
    calls = [
        node
        for node in ast.walk(ast.parse(script.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    if any(node.func.id == "read_origin" for node in calls):
        return sorted(yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8")))
    return sorted(
        node.args[0].value
        for node in calls
        if node.func.id == "load_section" and isinstance(node.args[0], ast.Constant)
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


def _imported(tree: ast.AST) -> list[str]:
    names: list[str] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        names += _imported(node)
    return [name for name in names if name.split(".")[0] == "superres"]


def _files(module: str) -> list[Path]:
    """Return a module's file and the `__init__` of every package above it, as far as they exist."""
    parts = module.split(".")
    candidates = [SOURCE.joinpath(*parts[:end], "__init__.py") for end in range(1, len(parts) + 1)]
    candidates.append(SOURCE.joinpath(*parts).with_suffix(".py"))
    return [path for path in candidates if path.is_file()]


def templates_of(script: Path) -> list[str]:
    """Return the package data that imported modules read: files beside them that they name."""
    found: set[Path] = set()
    waiting = [ROOT / name for name in import_closure(script)]
    while waiting:  # what a template includes is read too
        file = waiting.pop()
        text = file.read_text(encoding="utf-8")
        beside = (path for kind in ("*.jinja", "*.css", "*.js") for path in file.parent.glob(kind))
        named = {path for path in beside if f'"{path.name}"' in text} - found
        found |= named
        waiting += named
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def main() -> None:
    """Write the code dependencies of every stage into dvc.yaml, keeping all else as it is."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - DVC brings it; only this tool needs it

    editor = YAML()
    editor.width = 200
    editor.indent(mapping=2, sequence=4, offset=2)
    document = editor.load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    for stage in document["stages"].values():
        script = script_of(stage)
        data = [name for name in stage["deps"] if not is_code(name)]
        stage["deps"] = data + import_closure(script) + templates_of(script)
    with (ROOT / "dvc.yaml").open("w", encoding="utf-8") as file:
        editor.dump(document, file)


if __name__ == "__main__":
    main()
