"""What can be chosen: each checkpoint's classic average, and averages of other lengths."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from superres.core.errors import SuperresError
from superres.core.state_dicts import tensor_faults
from superres.model.folder import load_model
from superres.model.resolver import SuperResolver
from superres.training.ema import CLASSIC, find_snapshots, rebuild


class Candidate(NamedTuple):
    """One model that training left, or that its snapshots can make."""

    folder: Path
    """The checkpoint's."""
    step: int
    ema: str
    """`classic`, or the relative width of an average by a power function."""

    @property
    def name(self) -> str:
        """What it is called in files and messages."""
        return f"step-{self.step:08d}-{self.ema}"


def find_candidates(checkpoints: str | Path, lengths: Sequence[float]) -> list[Candidate]:
    """Return every checkpoint with every average, by step; the classic average comes first.

    Args:
        checkpoints: folder of model folders, `step-*`.
        lengths: relative widths of averages to make at each checkpoint.

    Raises:
        SuperresError: no checkpoint, or lengths where training kept no snapshots.
    """
    folders = sorted(Path(checkpoints).glob("step-*"))
    if not folders:
        raise SuperresError(f"{checkpoints}: holds no checkpoint (step-*)")
    found = []
    for folder in folders:
        if lengths and not find_snapshots(folder):
            raise SuperresError(
                f"{folder}: holds no snapshots to make averages of; train with "
                f"train.averaging.power, or empty select.ema_lengths (got {list(lengths)})"
            )
        step = int(folder.name.removeprefix("step-"))
        found += [Candidate(folder, step, ema) for ema in (CLASSIC, *map(str, lengths))]
    return found


def load_candidate(candidate: Candidate, device: torch.device | None = None) -> SuperResolver:
    """Return a candidate's model, ready to evaluate.

    Raises:
        SuperresError: a damaged file, or snapshots of another network.
    """
    model = load_model(candidate.folder, device)
    if candidate.ema == CLASSIC:
        return model
    beside = sorted(candidate.folder.parent.glob("step-*"))
    snapshots = [snapshot for folder in beside for snapshot in find_snapshots(folder)]
    weights = rebuild(snapshots, candidate.step, float(candidate.ema))
    if faults := tensor_faults(weights, model.network.state_dict()):
        raise SuperresError(f"{candidate.folder}: snapshots do not fit: {'; '.join(faults)}")
    model.network.load_state_dict(weights)
    return model
