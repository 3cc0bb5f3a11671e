from __future__ import annotations

from pathlib import Path

import pytest
import torch
from trainings import checked

from superres.training.checkpoint import Progress, State, fingerprint


def test_fingerprints_change_with_params_and_data(tmp_path: Path) -> None:
    params = checked(tmp_path)
    data = tmp_path / "data"
    data.mkdir()
    (data / "x.npy").write_bytes(b"a" * 200_000)
    base = fingerprint([params.train], [data])
    assert base == fingerprint([params.train], [data])
    assert base != fingerprint([checked(tmp_path, steps=7).train], [data])
    (data / "x.npy").write_bytes(b"a" * 199_999 + b"b")
    assert base != fingerprint([params.train], [data])


def test_a_damaged_state_is_not_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(tmp_path, "x")
    assert progress.load() is None
    progress.save(State(3, {"a": torch.ones(2)}, [{"step": 3.0}], {}))
    (tmp_path / "x" / "state" / "state.safetensors").write_bytes(b"\x00" * 9)
    assert progress.load() is None
    assert "damaged" in capsys.readouterr().err
