"""The training loop: steps, log, checkpoints, and going on where it was stopped.

A step is a function of the state and the step's number: stopped at any moment and started again,
training ends in the same weights.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from superres.errors import SuperresError
from superres.params.diffusion import DiffusionParams
from superres.params.model import ModelParams
from superres.params.train import TrainParams
from superres.progress import progress_bar
from superres.storage import replacing_folder, write_csv
from superres.training.checkpoints import Progress, fingerprint
from superres.training.optimization import learning_rate
from superres.training.trainer import Trainer


def train(
    model: ModelParams,
    diffusion: DiffusionParams,
    params: TrainParams,
    tiles: str | Path,
    pairs: str | Path,
    out: Path,
    log_file: Path,
) -> dict[str, Any]:
    """Train, leaving a model folder per checkpoint in `out` and the curves in `log_file`.

    Unfinished work of the same params, data and code is continued.

    Returns:
        Facts for the timing table.

    Raises:
        SuperresError: bad params or data, or a loss that is no longer finite.
    """
    trainer = Trainer(model, diffusion, params, tiles, pairs)
    progress = Progress(
        out.parent / ".progress", fingerprint([model, diffusion, params], [tiles, pairs])
    )
    state = progress.load()
    if state is not None:
        trainer.resume(state)
        print(f"train: going on from step {state.step}", file=sys.stderr)
    elif others := progress.others():
        print(
            f"train: starting afresh; {len(others)} unfinished training(s) of other params, data "
            f"or code stay in {progress.root}",
            file=sys.stderr,
        )
    begun = trainer.step
    with _StopRequests() as stop, _bar(trainer) as bar:
        _run(trainer, progress, stop, bar)

    write_csv(log_file, pd.DataFrame(trainer.log))
    # Linked, not moved: until the results are in their place, progress must stay complete.
    with replacing_folder(out) as partial:
        for row in trainer.log:
            if "val_loss" in row:
                name = _checkpoint_name(int(row["step"]))
                shutil.copytree(progress.folder / name, partial / name, copy_function=os.link)
    progress.discard()
    return {"images": (params.steps - begun) * params.batch}


def _run(trainer: Trainer, progress: Progress, stop: _StopRequests, bar: tqdm) -> None:
    params = trainer.params
    while trainer.step < params.steps:
        terms = trainer.advance()
        bar.update(params.batch)
        last = trainer.step == params.steps
        checkpoint = last or trainer.step % params.checkpoint_every == 0
        if checkpoint or trainer.step % params.log_every == 0 or trainer.step == 1:
            trainer.log.append(_row(trainer, terms))
            bar.set_postfix(step=trainer.step, loss=f"{terms['loss'].item():.4f}", refresh=False)
        elif stop.asked:
            _row(trainer, terms)  # refuses to keep a state that is no longer finite
        if checkpoint:
            loss = trainer.validation_loss()
            if not math.isfinite(loss):
                raise SuperresError(
                    f"the validation loss is {loss} at step {trainer.step}; lower "
                    "train.learning_rate.peak; the last good state is kept"
                )
            trainer.log[-1]["val_loss"] = loss
            trainer.save_checkpoint(progress.folder / _checkpoint_name(trainer.step))
        if checkpoint or stop.asked:
            progress.save(trainer.state())
        if stop.asked and not last:
            print(f"train: stopped at step {trainer.step}; run again to go on", file=sys.stderr)
            raise SystemExit(128 + stop.asked)


def _checkpoint_name(step: int) -> str:
    return f"step-{step:08d}"


def _row(trainer: Trainer, terms: dict[str, Tensor]) -> dict[str, float]:
    """Return a step's row of the log; terms that are not finite end the run."""
    params = trainer.params
    rate = learning_rate(trainer.step - 1, params.steps, params.learning_rate)
    row = {"step": trainer.step, **{name: term.item() for name, term in terms.items()}}
    row["learning_rate"] = rate
    if not all(map(torch.isfinite, terms.values())):
        raise SuperresError(
            f"the loss is {row['loss']} at step {trainer.step} (learning rate {rate:.3g}, gradient "
            f"norm {row['gradient_norm']:.3g}); lower train.learning_rate.peak or "
            "train.clip_norm; the last good state is kept"
        )
    return row


def _bar(trainer: Trainer) -> tqdm:
    params = trainer.params
    return progress_bar(
        params.steps * params.batch, "train", "img", initial=trainer.step * params.batch
    )


class _StopRequests:
    """Turns SIGTERM and Ctrl-C into a number that the loop looks at between steps."""

    def __init__(self) -> None:
        self.asked = 0

    def __enter__(self) -> _StopRequests:
        self._before = {
            number: signal.signal(number, self._ask) for number in (signal.SIGTERM, signal.SIGINT)
        }
        return self

    def _ask(self, number: int, _: object) -> None:
        self.asked = number

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
