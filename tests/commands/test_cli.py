from __future__ import annotations

import argparse
import ast
import os
import subprocess
import sys
import tomllib
from importlib import import_module
from types import SimpleNamespace

import pytest

from superres import __version__, cli
from superres.cli import main
from superres.core.errors import SuperresError
from support import ROOT, environment, run
from tools.code_dependencies import PACKAGE, rooms_of, script_of, stages

LIGHT = "import sys; from superres.cli import main\ntry: main({words})\nexcept SystemExit: pass\n"


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["nothing"], []])
def test_help_does_not_load_torch(words: list[str]) -> None:
    code = LIGHT.format(words=words) + "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    command = [sys.executable, "-c", code]
    subprocess.run(command, check=True, cwd=ROOT, env=environment(), capture_output=True)


def test_what_a_command_loads_is_never_looked_through_for_garbage() -> None:
    """Which would take a quarter of the time to begin and end (docs/restore.md)."""
    code = LIGHT.format(words=["restore", "--help"])
    code += "import gc; print(gc.get_freeze_count(), gc.isenabled())"
    frozen, enabled = run(ROOT, sys.executable, "-c", code).stdout.split()[-2:]
    assert int(frozen) > 100_000
    assert enabled == "True"


def test_python_m_superres() -> None:
    done = run(ROOT, sys.executable, "-m", "superres", "--version")
    assert done.stdout == f"superres {__version__}\n"
    assert run(ROOT, sys.executable, "-m", "superres", check=False).returncode == 2


def test_the_installed_command_is_this_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"superres": "superres.cli:main"}
    assert project["version"] == __version__


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_says_what_it_takes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([name, "--help"])
    assert ended.value.code == 0
    assert f"usage: superres {name}" in capsys.readouterr().out
    assert callable(import_module(cli.COMMANDS[name].module).run)


def test_a_command_line_that_cannot_be_understood(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["nothing"], ["import"], ["import", "a", "b", "--scale", "two"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(words)
        assert ended.value.code == 2
        assert "error:" in capsys.readouterr().err


def pretend(monkeypatch: pytest.MonkeyPatch, outcome: BaseException | int) -> None:
    """Add a command `pretend` that returns or raises something."""

    def run(_: argparse.Namespace) -> int:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    module = SimpleNamespace(add_arguments=lambda parser: None, run=run)
    monkeypatch.setitem(sys.modules, "superres.commands.pretend", module)
    monkeypatch.setitem(
        cli.COMMANDS, "pretend", cli.Command("superres.commands.pretend", "pretend")
    )


@pytest.mark.parametrize(
    ("outcome", "status", "said"),
    [
        (0, 0, ""),
        (3, 3, ""),
        (SuperresError("x.pth: no"), 1, "superres pretend: error: x.pth: no\n"),
        (PermissionError(13, "denied", "x"), 1, "pretend: error: [Errno 13] denied: 'x'\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_how_a_command_may_end(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    outcome: BaseException | int,
    status: int,
    said: str,
) -> None:
    pretend(monkeypatch, outcome)
    assert cli.main(["pretend"]) == status
    err = capsys.readouterr().err
    assert err.endswith(said) and err.count("\n") == bool(said)


def test_faults_of_the_program_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        cli.main(["pretend"])


def test_nothing_below_knows_the_command_line() -> None:
    """Neither a stage nor a room: editing a command redoes nothing."""
    for stage in stages().values():
        assert not {"cli", "__main__", "commands"} & set(rooms_of(script_of(stage)))
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.parent.name != "commands" and path.name not in {"__main__.py", "cli.py"}:
            known = ast.dump(ast.parse(path.read_text(encoding="utf-8")))
            assert "superres.commands" not in known and "superres.cli" not in known, path


def test_what_apples_gpu_lacks_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """By torch's own variable, before a command loads it; a choice of one's own stays."""
    name = "PYTORCH_ENABLE_MPS_FALLBACK"
    monkeypatch.setenv(name, "0")
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SystemExit):
        main(["--version"])
    assert os.environ[name] == "0"
    monkeypatch.delenv(name)
    with pytest.raises(SystemExit):
        main(["--version"])
    assert os.environ[name] == "1"
    monkeypatch.delenv(name)
