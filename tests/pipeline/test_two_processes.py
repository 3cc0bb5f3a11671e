"""Selecting, trying and measuring on two processes, and with one that dies: the bytes of one."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from forking import End, Run, story
from support import environment, tiny_params, write_yaml
from tiny_trial import build

STAGES = {
    "sample": ("sample.py", ("data/samples",)),
    "select": ("select_best.py", ("models/best", "reports/selection.csv")),
    "explore": ("explore.py", ("reports/explore",)),
    "reference": ("reference.py", ("data/reference",)),
    "evaluate": ("evaluate.py", ("reports",)),
}
"""By name: the script, and what it writes."""
MEASURED = [name for name in STAGES if name != "sample"]
"""`tests/sampling` has the other."""
SMALL = """
from functools import partial
import torch
import superres.evaluation.measure, superres.evaluation.measuring_networks
import superres.evaluation.reference
import superres.metrics.feature_files, superres.metrics.features
import superres.selection.scoring
from superres import evaluation, metrics, selection

class Colours(torch.nn.Module):
    "Stands in for Inception, which would take minutes: 64 of the pixels that it would see."

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, prepared, layers):
        return {layers[0]: prepared.flatten(1)[:, ::4191]}

metrics.features.WIDTH, metrics.features.BATCH, metrics.features.BLOCK = 64, 2, 5
evaluation.measure.PIECE = evaluation.reference.PIECE = 4
for room in (evaluation.reference, evaluation.measuring_networks, selection.scoring):
    room.load_inception = lambda path: Colours()
held = partial(metrics.features.describe_pictures, held_at_most=int(os.environ["HELD"]))
evaluation.reference.describe_pictures = metrics.feature_files.describe_pictures = held
"""
SCORING = 'after(selection.scoring.Scorer, "_part", 2)'  # one for each candidate
COUNTING = """
real = selection.scoring.Scorer._part
def counted(*given):
    print("scored a part")
    return real(*given)
selection.scoring.Scorer._part = counted
"""
SAMPLING = 'from superres.sampling.batch import Batch; after(Batch, "sample", 1)'
LOOKING = 'from superres.metrics.swd import Patches; after(Patches, "of", {times})'
DESCRIBING = 'after(metrics.features.Moments, "add", 1)'
FAILING = """import superres.explore.trial as trial
    from superres.core.errors import SuperresError
    def fail(*_): raise SuperresError("this one cannot")
    trial.to_pictures = fail"""
DEATHS = {
    "select, the second": ("select", 1, SCORING),
    "explore, the second": ("explore", 1, SAMPLING),
    "explore, the second fails": ("explore", 1, FAILING),
    "reference, the second": ("reference", 1, LOOKING.format(times=2)),
    "reference, the first": ("reference", 0, LOOKING.format(times=2)),
    "evaluate, the second": ("evaluate", 1, LOOKING.format(times=9)),
    "evaluate, the second, at features": ("evaluate", 1, DESCRIBING),
}
GONE = "error: another of the processes has ended before its work"


def workspace(trial: Path, folder: Path) -> Path:
    """Make a folder in which the stages can run, with two checkpoints."""
    params = tiny_params()
    params["select"].update(metric="fid", batch=2, tiles=5)
    params["explore"].update(batch=1, tiles=3)
    params["sampler"].update(batch=5)
    params["evaluate"].update(baselines=["bicubic"], neighbours=2)
    params["evaluate"]["kid"].update(subsets=2, subset_size=3)
    write_yaml(folder / "params.yaml", params)
    (folder / "weights.json").write_text('{"inception": null, "lpips": null}')
    (folder / "weights.pth").write_bytes(b"stands for the weights")
    for name in ("data", "models/train"):
        (folder / name).mkdir(parents=True)
    for name in ("tiles", "pairs"):
        (folder / "data" / name).symlink_to(trial / name)
    for step in (2, 4):
        shutil.copytree(trial / "model", folder / f"models/train/step-{step:08d}")
    shutil.copytree(trial / "model", folder / "models/best")
    return folder


def dying(rank: int, hook: str) -> str:
    """Return code that is run in one process alone."""
    return f'if os.environ["RANK"] == "{rank}":\n    {hook}\n'


class Ends(NamedTuple):
    """Folders and what became of the runs in them."""

    one: Path
    two: Path
    whole: Path
    """One process, all features held."""
    shared: Path
    """The same by two."""
    ends: dict[str, End]


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Ends:
    """Run all stages, of 18 test tiles with features of 7 of them held; then with all held."""
    trial = build(tmp_path_factory.mktemp("trial"))
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "two", "whole", "shared")]
    one, two, *whole = (workspace(trial, folder) for folder in folders)

    def run(folder: Path, stage: str, processes: int = 1, hook: str = SMALL) -> Run:
        given = {"SUPERRES_CACHE": str(folder / "cache")}
        given["HELD"] = "7" if folder in (one, two) else "100"
        given["SUPERRES_INCEPTION"] = str(folder / "weights.pth")
        return Run(str(folder), hook, processes, None, given, STAGES[stage][0])

    runs = {"sample": run(one, "sample")}
    for folder in (two, *whole):
        (folder / "data/samples").symlink_to(one / "data/samples")
    for name in MEASURED:
        runs[f"{name} on one"] = run(one, name)
        for death, (stage, rank, hook) in DEATHS.items():
            if stage == name:
                runs[death] = run(two, name, 2, SMALL + dying(rank, hook))
        runs[f"{name} on two"] = run(two, name, 2, SMALL + COUNTING)
    for folder, count in zip(whole, (1, 2), strict=True):
        for name in ("reference", "evaluate"):
            runs[f"{name}, all held, {count}"] = run(folder, name, count)
    found = story(list(runs.values()), environment())
    return Ends(one, two, *whole, dict(zip(runs, found, strict=True)))


def written(folder: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    """Return what lies there by name, without the times that the stages took."""
    files = [file for name in names for file in sorted((folder / name).rglob("*"))]
    files += [folder / name for name in names]
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in files
        if file.is_file() and file.name != "timing.json"
    }


@pytest.mark.parametrize("stage", MEASURED)
def test_two_processes_write_the_bytes_of_one(ends: Ends, stage: str) -> None:
    for run in (f"{stage} on one", f"{stage} on two"):
        assert not any(ends.ends[run].statuses), ends.ends[run].output
    expected = written(ends.one, STAGES[stage][1])
    assert len(expected) >= 3
    assert written(ends.two, STAGES[stage][1]) == expected


def test_so_they_do_where_all_features_are_held(ends: Ends) -> None:
    for name in ("reference", "evaluate"):
        for count in (1, 2):
            end = ends.ends[f"{name}, all held, {count}"]
            assert not any(end.statuses), end.output
        names = STAGES[name][1]
        assert written(ends.shared, names) == written(ends.whole, names)
        assert written(ends.shared, names) != written(ends.two, names)


def test_figures_of_features_are_among_them(ends: Ends) -> None:
    for folder, held in ((ends.two, 7), (ends.shared, 18)):
        metrics = json.loads((folder / "reports/metrics.json").read_text())
        for contender in ("model", "estimate", "mean", "bicubic"):
            assert metrics[contender]["fid"] > 0
        features = np.load(folder / "data/reference/inception-held.npy")
        assert features.shape == (held, 64)
    assert pd.read_csv(ends.two / "reports/selection.csv")["fid"].notna().all()


@pytest.mark.parametrize("death", DEATHS)
def test_a_process_that_dies_ends_the_stage_with_one_line(ends: Ends, death: str) -> None:
    stage, rank, hook = DEATHS[death]
    end = ends.ends[death]
    fails = hook == FAILING
    assert end.statuses[rank] == (1 if fails else -signal.SIGKILL), end.output
    assert end.statuses[1 - rank] == 1, end.output
    assert f"{stage}: {GONE}" in end.output
    assert ("explore: error: this one cannot" in end.output) == fails
    assert "Traceback" not in end.output


def test_a_selection_whose_second_process_died_goes_on(ends: Ends) -> None:
    """Of two candidates, three parts each, the first one's scores were kept."""
    assert ends.ends["select on two"].output.count("scored a part") == 3
    assert not (ends.two / "models/.selection").exists()
