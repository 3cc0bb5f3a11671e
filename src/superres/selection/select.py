"""Choosing the checkpoint and the average that do best on the val pairs."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from superres.core.distributed import Processes, connected, on_first
from superres.core.errors import SuperresError
from superres.core.fingerprints import fingerprint, source_digests
from superres.core.progress import progress_bar
from superres.core.storage import write_csv, write_json
from superres.degradation.dataset import PairSet
from superres.metrics.weights import WeightsMissing
from superres.model.folder import save_model
from superres.model.spec import SamplingSpec
from superres.selection.candidates import Candidate, find_candidates, load_candidate
from superres.selection.config import SelectParams
from superres.selection.scoring import Scorer, Scores, ValTiles, evaluations_per_tile
from superres.selection.verdict import HIGHER_IS_BETTER, Verdict, decide
from superres.training.config import LossParams

FEWEST_TILES = 2
"""Fewer make no distribution and no interval."""


def select_model(
    params: SelectParams,
    loss: LossParams,
    checkpoints: str | Path,
    tiles: str | Path,
    pairs: str | Path,
    out: str | Path,
    table: str | Path,
) -> dict[str, int]:
    """Score every candidate on val pairs and write the chosen one, with its scores, as a model.

    Scores are kept beside `out` until all are there: an interrupted stage goes on from them, with
    any number of processes.

    Args:
        params: metric, averages, sampler, tiles, budget.
        loss: what training minimised.
        checkpoints: folder of model folders, `step-*`, with snapshots of averages.
        tiles: folder of tiles.
        pairs: folder of pairs.
        out: the chosen model's folder.
        table: CSV with a row per candidate.

    Returns:
        Facts for the timing table.

    Raises:
        SuperresError: no checkpoint or snapshots, too few val pairs or too small a budget, or FID
            without the weights of its network.
    """
    candidates = find_candidates(checkpoints, params.ema_lengths)
    val = PairSet(tiles, pairs, "val")
    count = affordable(params, len(candidates), len(val))
    code = source_digests().values()  # scores that other code made are not comparable
    steps = dict.fromkeys(candidate.folder for candidate in candidates)
    key = fingerprint([params, loss], [tiles, pairs, *steps], *code)
    kept = Path(out).parent / ".selection"
    with connected() as processes:
        try:
            scorer = Scorer(params, loss, ValTiles(val, val.spread(count)), processes)
        except WeightsMissing as error:
            raise SuperresError(f"select.metric: fid needs its weights: {error}") from error
        folder = kept / f"{key}{scorer.weights}"
        _score(candidates, scorer, folder, processes)

        def conclude() -> None:
            scores = [_read(folder, candidate) for candidate in candidates]
            verdict = decide(
                params.metric,
                [candidate.step for candidate in candidates],
                [float(score.figures[params.metric] or 0) for score in scores],
                np.array([score.resampled for score in scores]),
            )
            _save(candidates[verdict.chosen], verdict, params, scores, count, out)
            write_csv(table, _table(candidates, scores, verdict))
            print(summary(candidates, scores, verdict, params.metric), file=sys.stderr)
            shutil.rmtree(kept, ignore_errors=True)

        on_first(processes, conclude)
    return {"images": len(candidates) * count}


def affordable(params: SelectParams, candidates: int, tiles: int) -> int:
    """Return on how many tiles each candidate is scored.

    Raises:
        SuperresError: fewer than two.
    """
    count = min(params.tiles, tiles)
    if count < FEWEST_TILES:
        raise SuperresError(
            f"select: needs {FEWEST_TILES} val tiles at least, got {tiles} (select.tiles is "
            f"{params.tiles}); raise data.split.val or bring more photographs"
        )
    if params.budget is None:
        return count
    each = candidates * evaluations_per_tile(params)
    if params.budget // each < FEWEST_TILES:
        raise SuperresError(
            f"select.budget: must be at least {FEWEST_TILES * each} to score {candidates} "
            f"candidates on {FEWEST_TILES} tiles, got {params.budget}"
        )
    return min(count, params.budget // each)


def summary(
    candidates: list[Candidate], scores: list[Scores], verdict: Verdict, metric: str
) -> str:
    """Return one line that says what was chosen, and why."""
    chosen, best = candidates[verdict.chosen], candidates[verdict.best]
    line = (
        f"select: step {chosen.step}, {chosen.ema} average, "
        f"{metric} {scores[verdict.chosen].figures[metric]:.5g}"
    )
    if verdict.chosen == verdict.best:
        return line
    return (
        f"{line}: the earliest of {verdict.tied.sum()} that cannot be told from the best (step "
        f"{best.step}, {best.ema}, {scores[verdict.best].figures[metric]:.5g})"
    )


def _score(candidates: list[Candidate], scorer: Scorer, folder: Path, processes: Processes) -> None:
    """Score the candidates that an interrupted run has not; the first process keeps the scores."""
    scored = [(folder / _file(one)).is_file() for one in candidates]
    scored = processes.of_first(scored)
    label = "select" if processes.count == 1 else f"select, by {processes.count}"
    total = len(candidates) * scorer.count
    with progress_bar(total, label, "img", disable=not processes.writes) as bar:
        for candidate, done in zip(candidates, scored, strict=True):
            if done:
                bar.update(scorer.count)
                continue
            scores = scorer.score(load_candidate(candidate, processes.device), bar)
            if processes.writes:
                folder.mkdir(parents=True, exist_ok=True)
                write_json(folder / _file(candidate), scores._asdict())


def _read(folder: Path, candidate: Candidate) -> Scores:
    return Scores(**json.loads((folder / _file(candidate)).read_text(encoding="utf-8")))


def _file(candidate: Candidate) -> str:
    return f"{candidate.name}.json"


def _save(
    candidate: Candidate,
    verdict: Verdict,
    params: SelectParams,
    scores: list[Scores],
    tiles: int,
    out: str | Path,
) -> None:
    model = load_candidate(candidate)
    provenance = {
        **model.spec.provenance,
        "ema": candidate.ema,
        "metric": params.metric,
        "scores": scores[verdict.chosen].figures,
        "scored_on": tiles,
        "candidates": len(scores),
        "tied": int(verdict.tied.sum()),
    }
    restoring = params.restoring
    sampling = None if restoring is None else SamplingSpec(**restoring.model_dump())
    spec = model.spec.model_copy(update={"provenance": provenance, "sampling": sampling})
    save_model(out, spec, model.network.state_dict())


def _table(candidates: list[Candidate], scores: list[Scores], verdict: Verdict) -> pd.DataFrame:
    """Return a row per candidate: its figures, and how the metric differs from the best one's."""
    figures = pd.DataFrame([score.figures for score in scores], columns=list(HIGHER_IS_BETTER))
    figures.insert(0, "step", [candidate.step for candidate in candidates])
    figures.insert(1, "ema", [candidate.ema for candidate in candidates])
    figures["difference"] = verdict.difference
    figures["low"], figures["high"] = verdict.ends
    figures["tie"] = verdict.tied.astype(int)
    figures["chosen"] = (np.arange(len(candidates)) == verdict.chosen).astype(int)
    return figures
