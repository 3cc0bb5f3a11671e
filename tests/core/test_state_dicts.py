from __future__ import annotations

import hashlib
import os
import pickle
from argparse import Namespace
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from superres.core import state_dicts
from superres.core.errors import SuperresError
from superres.core.hashing import sha256_of
from superres.core.state_dicts import read_state_dict, save_tensors, write_state_dict


class Hostile:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def saved(value: Any, **options: Any) -> Callable[[Path], None]:
    return lambda path: torch.save(value, path, **options)


def cut(path: Path, **options: Any) -> None:
    torch.save({"a": torch.zeros(1000)}, path, **options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


CASES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda path: None, "no such file"),
    "folder": (lambda path: path.mkdir(), "is a folder"),
    "empty": (lambda path: path.touch(), "is empty"),
    "text": (lambda path: path.write_text("hello " * 50), "no file of tensors by name"),
    "zeros": (lambda path: path.write_bytes(bytes(500)), "no file of tensors by name"),
    "cut": (cut, "no file of tensors by name, or damaged"),
    "cut, old": (
        lambda path: cut(path, _use_new_zipfile_serialization=False),
        "no file of tensors by name, or damaged",
    ),
    "settings": (saved({"a": Namespace(x=1)}), r"would have argparse\.Namespace imported, which"),
    "module": (saved(nn.Linear(1, 1)), r"would have torch\.nn\.\S+Linear imported"),
    "tensor": (saved(torch.zeros(2)), "holds a Tensor, not tensors by name"),
    "list": (saved([torch.zeros(2)]), "holds a list"),
    "nothing": (saved({}), "holds no tensors"),
    "training": (
        saved({"epoch": 3, "model": {"a": torch.zeros(1)}}),
        "'epoch' is a int, 'model' is a dict; wanted is the network's state dict alone",
    ),
    "many": (saved(dict.fromkeys("abcdef", 1)), "'d' is a int, and 2 more"),
    "bomb": (saved({"a": torch.zeros(1).expand(10**6, 10**6)}), "a claims .*, but holds less"),
    "meta": (saved({"a": torch.zeros(3, device="meta")}), "a is no dense tensor"),
    "sparse": (saved({"a": torch.eye(3).to_sparse()}), "a is no dense tensor"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", CASES)
def test_what_is_no_file_of_weights_is_refused_in_one_line(tmp_path: Path, case: str) -> None:
    path = tmp_path / "weights.pth"
    write, said = CASES[case]
    write(path)
    with pytest.raises(SuperresError, match=said) as caught:
        read_state_dict(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("write", [torch.save, lambda v, p: p.write_bytes(pickle.dumps(v))])
def test_nothing_in_a_file_is_run(tmp_path: Path, write: Callable[[Any, Path], Any]) -> None:
    trap = tmp_path / "sprung"
    write({"a": Hostile(trap)}, tmp_path / "hostile.pth")
    with pytest.raises(SuperresError, match=r"posix\.mkdir|no file of tensors"):
        read_state_dict(tmp_path / "hostile.pth")
    assert not trap.exists()
    # The trap does work: whoever trusts such a file runs it.
    with suppress(RuntimeError):
        torch.load(tmp_path / "hostile.pth", weights_only=False)
    assert trap.exists()


@pytest.mark.parametrize("kind", ["new", "old", "safetensors"])
def test_weights_come_back(tmp_path: Path, kind: str) -> None:
    tensors = {"a": torch.randn(3, 4), "b": torch.randn(2).half()}
    path = tmp_path / ("w.safetensors" if kind == "safetensors" else "w.pt")
    if kind == "safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=kind == "new")
    read = read_state_dict(path)
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[name], tensors[name]) for name in tensors)
    assert sha256_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_damaged_safetensors(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(bytes(20))
    with pytest.raises(SuperresError, match=r"w\.safetensors: is no file of tensors"):
        read_state_dict(tmp_path / "w.safetensors")


def test_writing_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new folder" / "w.pth"
    write_state_dict(path, {"a": torch.ones(2)})
    assert torch.equal(read_state_dict(path)["a"], torch.ones(2))
    before = path.read_bytes()

    def fail(_: Any, file: Any) -> None:
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(state_dicts.torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        write_state_dict(path, {"a": torch.zeros(2)})
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o007, 0o660)])
def test_tensors_are_for_whom_other_files_are_for(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        save_tensors({"a": torch.arange(3)}, tmp_path / "a.safetensors", {"step": "1"})
    finally:
        os.umask(before)
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o777 == mode
    assert torch.equal(read_state_dict(tmp_path / "a.safetensors")["a"], torch.arange(3))
