"""The `explore` stage's function."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from superres.core.distributed import connected, on_first
from superres.core.progress import progress_bar
from superres.core.storage import replacing_folder, write_bytes, write_csv, write_json
from superres.explore import picture_sizes as sizes
from superres.explore import sampling_curves as curves
from superres.explore.config import ExploreParams
from superres.explore.entropy_grid import entropy_grid, grid_cells, uncertainty
from superres.explore.trial import Trial
from superres.sampling.samplers import evaluations


def explore(
    params: ExploreParams,
    model_folder: str | Path,
    tiles: str | Path,
    pairs: str | Path,
    out: str | Path,
    student_folder: str | Path | None = None,
) -> dict[str, Any]:
    """Try a model on a few test tiles and write pictures and figures of that to a folder.

    `out` gets `entropies.png`, `uncertainty.png`, `sizes.png`, `steps.csv`, `sizes.csv` and
    `explore.json`: the pictures' captions and `notes` on what was left out. The same inputs give
    the same bytes; what time it took is therefore not among them.

    Where `student_folder` is a model folder, its model stands in the curves beside the other.

    Returns:
        Facts for the timing table: `evaluations` of the network on single tiles,
        `milliseconds_per_tile` by way of sampling and steps, `milliseconds_per_window` by size: on
        the clock, of all processes together.

    Raises:
        SuperresError: a model that does not fit the pairs or these params, or folders that are not
            there.
    """
    with connected(apple=True) as processes:
        trial = Trial(params, model_folder, tiles, pairs, processes, student_folder)
        subjects = sizes.Subjects(trial)
        total = count_evaluations(trial, subjects)
        with progress_bar(total, "explore", "evaluation", disable=not processes.writes) as bar:
            # Pictures first: what a device does once, at the beginning, is not to be in the times.
            entropies, entropies_caption = entropy_grid(trial, bar.update)
            samples, samples_caption = uncertainty(trial, bar.update)
            steps, notes, times = curves.step_curves(trial, bar.update)
            larger = sizes.compare_sizes(trial, subjects, bar.update)
        pictures = {
            "entropies.png": entropies_caption,
            "uncertainty.png": samples_caption,
            "sizes.png": larger.caption,
        }
        if not trial.test.entropy_names:
            del pictures["entropies.png"]  # one cell; `dvc plots` wants the file

        def write() -> None:
            with replacing_folder(out) as partial:
                write_bytes(partial / "entropies.png", entropies)
                write_bytes(partial / "uncertainty.png", samples)
                write_bytes(partial / "sizes.png", larger.picture)
                write_csv(partial / curves.TABLE, steps)
                write_csv(partial / sizes.TABLE, larger.table)
                record = {"pictures": pictures, "notes": notes + larger.notes}
                write_json(partial / "explore.json", record)

        on_first(processes, write)
    return {
        "evaluations": total,
        "milliseconds_per_tile": times,
        "milliseconds_per_window": larger.times,
    }


def count_evaluations(trial: Trial, subjects: sizes.Subjects) -> int:
    """Return the number of network evaluations of single tiles that everything takes."""
    steps = trial.params.grid_steps
    tried = sum(evaluations(way.how.sampler, way.how.steps) for way in curves.ways(trial))
    pictures = (grid_cells(trial) + trial.params.samples) * steps
    return tried * len(trial.items) + pictures + subjects.evaluations(steps)
