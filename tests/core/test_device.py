from __future__ import annotations

import sys

import pytest
import torch

from superres.core.device import pick_device
from superres.core.errors import SuperresError
from support import ROOT, run

# Page faults of tensors of 8 MiB that come and go, before and after a device was picked.
FAULTS = """
import resource
import torch
from superres.core.device import pick_device

torch.set_num_threads(1)

def faults():
    begin = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        kept = [torch.ones(2**21) for _ in range(8)]
        del kept
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - begin

before = faults()
pick_device("cpu")
faults()
print(before, faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_freed_memory_is_kept_for_the_next_tensors() -> None:
    before, after = map(int, run(ROOT, sys.executable, "-c", FAULTS).stdout.split())
    assert after < 2000
    assert before > 10 * after


def test_a_device_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pick_device("cpu") == torch.device("cpu")
    monkeypatch.setenv("SUPERRES_DEVICE", "abacus")
    with pytest.raises(SuperresError, match="SUPERRES_DEVICE: device 'abacus' cannot be used"):
        pick_device()


def test_apples_gpu_is_picked_where_it_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUPERRES_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device() == torch.device("cpu")
    with monkeypatch.context() as patch:
        patch.setattr(torch, "empty", lambda *_, **__: None)  # nothing is really there
        assert pick_device(apple=True) == torch.device("mps")
    monkeypatch.setenv("SUPERRES_DEVICE", "mps")
    with pytest.raises(SuperresError, match=r"SUPERRES_DEVICE: device 'mps' .*no float64"):
        pick_device()
