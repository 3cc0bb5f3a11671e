from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim import Muon

from superres.training.muon import make_muon

CPU = torch.device("cpu")
SHAPES = [(8, 72), (16, 16), (30, 5)]
MOMENTUM, DECAY = 0.9, 0.5


def moved(optimizer: Muon) -> list[torch.Tensor]:
    """Return the matrices after three steps; the first has no gradient in the last one."""
    matrices = optimizer.param_groups[0]["params"]
    torch.manual_seed(1)
    for last in (False, False, True):
        for matrix in matrices:
            matrix.grad = torch.randn_like(matrix)
        if last:
            matrices[0].grad = None
        optimizer.step()
    return [matrix.detach() for matrix in matrices]


def matrices() -> list[nn.Parameter]:
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(shape)) for shape in SHAPES]


@pytest.mark.usefixtures("fp32_alone")
def test_without_bf16_the_steps_are_torchs_but_for_rounding() -> None:
    made = make_muon(matrices(), MOMENTUM, DECAY, CPU)
    torchs = Muon(matrices(), momentum=MOMENTUM, weight_decay=DECAY, adjust_lr_fn="match_rms_adamw")
    for optimizer in (made, torchs):
        optimizer.param_groups[0]["lr"] = 0.1
    before = matrices()
    for own, other, start in zip(moved(made), moved(torchs), before, strict=True):
        assert own.dtype == torch.float32
        assert (own - other).norm() < 0.02 * (other - start).norm()
        assert not torch.equal(own, other)


@pytest.mark.usefixtures("fp32_alone")
def test_torchs_own_computes_on_a_gpu() -> None:
    assert type(make_muon(matrices(), MOMENTUM, DECAY, torch.device("cuda"))) is Muon
    assert type(make_muon(matrices(), MOMENTUM, DECAY, CPU)) is not Muon


def test_torchs_own_computes_where_the_processor_has_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert type(make_muon(matrices(), MOMENTUM, DECAY, CPU)) is Muon
