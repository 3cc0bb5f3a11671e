"""Quality and time of ways of sampling, against the number of network evaluations."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
import pandas as pd

from superres.explore.trial import Advance, Trial, finite_means, left_out_note
from superres.metrics.fidelity import psnr, ssim
from superres.metrics.swd import QUICK, descriptors, sliced_distances
from superres.model.resolver import SuperResolver
from superres.sampling.batch import Sampling
from superres.sampling.samplers import evaluations

TABLE = "steps.csv"
STUDENT = "student"
"""What it is called among the samplers."""

Times = dict[str, dict[str, float]]
"""Sampler and spacing, then the number of steps, to milliseconds per tile."""


class Way(NamedTuple):
    """A way of sampling that is tried."""

    name: str
    """The sampler's, or `STUDENT`."""
    how: Sampling
    model: SuperResolver


def ways(trial: Trial) -> list[Way]:
    """Return what is tried: curve by curve, the number of steps rising; a student's own, last."""
    tried = [
        Way(curve.sampler, Sampling(curve.sampler, steps, curve.spacing), trial.model)
        for curve in trial.params.curves
        for steps in sorted(curve.steps)
    ]
    student = trial.student
    if student is not None and (own := student.spec.sampling) is not None:
        tried.append(Way(STUDENT, Sampling(own.sampler, own.steps, own.spacing), student))
    return tried


def step_curves(trial: Trial, advance: Advance) -> tuple[pd.DataFrame, list[str], Times]:
    """Return a row per way of sampling and number of steps, notes, and how long each took.

    The columns: `sampler` (`student` in a student's row), `spacing`, `steps`, `evaluations` of the
    network per tile, means of `psnr` (dB) and `ssim`, `swd` (8-bit levels), and `tiles`, of which
    they are.
    """
    test, ids = trial.test, trial.ids(trial.items)
    low, entropies, originals = (
        test.low(trial.items),
        test.entropies(trial.items),
        test.high(trial.items),
    )
    reference = descriptors(originals, ids, QUICK)
    rows, closeness, times = [], [], Times()
    for name, how, model in ways(trial):
        begin = time.perf_counter()
        restored = trial.restore(low, entropies, ids, how, advance, model)
        spent = 1000 * (time.perf_counter() - begin) / len(ids)
        times.setdefault(f"{name} {how.spacing}", {})[str(how.steps)] = round(spent, 2)
        pairs = list(zip(restored, originals, strict=True))
        distances = sliced_distances(reference, descriptors(restored, ids, QUICK), QUICK)
        closeness.append([psnr(one, other) for one, other in pairs])
        rows.append(
            {
                "sampler": name,
                "spacing": how.spacing,
                "steps": how.steps,
                "evaluations": evaluations(how.sampler, how.steps),
                "psnr": np.nan,
                "ssim": np.mean([ssim(one, other) for one, other in pairs]),
                "swd": np.mean(distances),
                "tiles": len(ids),
            }
        )
    table = pd.DataFrame(rows)
    table["psnr"], left_out = finite_means(np.array(closeness))
    return table, left_out_note(TABLE, left_out, len(ids)), times
