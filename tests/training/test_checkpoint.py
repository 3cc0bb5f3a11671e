from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from trainings import checked, run_training

from superres.core import fingerprints
from superres.core.errors import SuperresError
from superres.training import checkpoint
from superres.training.checkpoint import Progress, State, training_name
from superres.training.trainer import Trainer


def test_names_change_with_params_and_data(tmp_path: Path) -> None:
    params = checked(tmp_path)
    data = tmp_path / "data"
    data.mkdir()
    (data / "x.npy").write_bytes(b"a" * 200_000)
    base = training_name([params.train], [data])
    assert base == training_name([params.train], [data])
    assert base != training_name([checked(tmp_path, steps=7).train], [data])
    (data / "x.npy").write_bytes(b"a" * 199_999 + b"b")
    assert base != training_name([params.train], [data])


def test_a_damaged_state_is_not_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(tmp_path, "x")
    assert progress.load() is None
    progress.save(State(3, {"a": torch.ones(2)}, [{"step": 3.0}], {}))
    (tmp_path / "x" / "state" / "state.safetensors").write_bytes(b"\x00" * 9)
    assert progress.load() is None
    assert "damaged" in capsys.readouterr().err


def test_two_runs_of_one_training_keep_out_of_each_others_way(tmp_path: Path) -> None:
    with (
        Progress(tmp_path, "x").locked(),
        pytest.raises(SuperresError, match="x: another process is at this training"),
        Progress(tmp_path, "x").locked(),
    ):
        pass
    with Progress(tmp_path, "x").locked():
        pass  # free again


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the package's source that stands for what is there when a run begins."""
    folder = tmp_path / "package"
    shutil.copytree(fingerprints.PACKAGE, folder)
    monkeypatch.setattr(fingerprints, "PACKAGE", folder)
    return folder


def killed_after(steps: int, project: Path, tmp_path: Path) -> None:
    """Begin a training in `a`, and end it in the midst of its next step."""
    advance = Trainer.advance

    def dying(self: Trainer) -> object:
        if self.step == steps:
            raise KeyboardInterrupt
        return advance(self)

    with pytest.MonkeyPatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Trainer, "advance", dying)
        run_training(project, tmp_path, "a")


def test_a_training_goes_on_after_an_edit_and_names_the_files(
    project: Path, tmp_path: Path, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed_after(4, project, tmp_path)
    edited = package / "training/previews.py"
    edited.write_text(edited.read_text() + "# mended\n")
    (package / "core/added.py").write_text("# new\n")
    killed_after(6 - 1, project, tmp_path)
    assert (
        "train: going on from step 3; code has changed since: src/superres/core/added.py, "
        "src/superres/training/previews.py\n"
    ) in capsys.readouterr().err


def test_a_training_of_unchanged_code_does_not_speak_of_it(
    project: Path, tmp_path: Path, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed_after(4, project, tmp_path)
    run_training(project, tmp_path, "a")
    assert "train: going on from step 3\n" in capsys.readouterr().err


def test_another_training_format_starts_afresh(
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    killed_after(4, project, tmp_path)
    monkeypatch.setattr(checkpoint, "TRAINING_FORMAT", checkpoint.TRAINING_FORMAT + 1)
    killed_after(1, project, tmp_path)
    output = capsys.readouterr().err
    assert "going on" not in output
    assert "starting afresh; 1 unfinished training(s) of other params, data or training" in output
