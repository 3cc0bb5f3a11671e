from __future__ import annotations

from pathlib import Path

import pytest
import torch
from trainings import checked

from superres.core.distributed import Processes
from superres.core.errors import SuperresError
from superres.degradation.dataset import PairSet
from superres.training import prefetch
from superres.training.config import DropParams
from superres.training.data import (
    Batches,
)
from superres.training.prefetch import Loader, Span, passes_per_process

CPU = torch.device("cpu")
DROP = DropParams(low=0.25, entropies=0.5)


def test_threads_read_ahead_in_order(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = PairSet(project / "data/tiles", project / "data/pairs", "train")
    batches = Batches(pairs, 0, DROP)
    spans = [Span(3 * number, 3) for number in range(30)]
    plain = list(Loader(batches, spans, torch.device("cpu")))
    monkeypatch.setattr(prefetch, "threads_for", lambda _: 3)
    ahead = Loader(batches, spans, torch.device("cpu"))
    for one, other in zip(plain, ahead, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert ahead.waited > 0
    ahead.close()
    assert len(plain) == 30


def test_a_failing_reader_is_heard(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = PairSet(project / "data/tiles", project / "data/pairs", "train")
    monkeypatch.setattr(prefetch, "threads_for", lambda _: 2)
    monkeypatch.setattr(pairs, "low_at", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        next(Loader(Batches(pairs, 0, DROP), [Span(0, 2)], torch.device("cpu")))


def test_passes_are_dealt_out(tmp_path: Path) -> None:
    params = checked(tmp_path, batch=256, micro_batches=32).train
    dealt = [passes_per_process(params, Processes(0, count, CPU)) for count in (1, 4, 64)]
    assert dealt == [32, 8, 1]
    params = checked(tmp_path, batch=8, micro_batches=1).train
    with pytest.raises(SuperresError, match=r"train\.batch: 8 tiles .* 3 processes"):
        passes_per_process(params, Processes(0, 3, CPU))
