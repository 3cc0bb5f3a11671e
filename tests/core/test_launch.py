from __future__ import annotations

import pytest
import torch

from superres.core.errors import SuperresError
from superres.core.launch import processes_wanted


@pytest.mark.parametrize("text", ["0", "two", "-1"])
def test_a_number_of_processes_is_a_number(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SUPERRES_PROCESSES", text)
    with pytest.raises(SuperresError, match=f"SUPERRES_PROCESSES: .*{text}"):
        processes_wanted()


def test_one_process_on_a_device_of_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.delenv("SUPERRES_PROCESSES", raising=False)
    monkeypatch.delenv("SUPERRES_DEVICE", raising=False)
    assert processes_wanted() == 4
    monkeypatch.setenv("SUPERRES_DEVICE", "cuda:1")
    assert processes_wanted() == 1
