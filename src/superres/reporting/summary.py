"""The run in sentences: names of contenders, the verdict, what was left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from superres.metrics.catalog import TABLE_FIGURES
from superres.metrics.intervals import GAIN_KEY
from superres.reporting.formatting import counted, share
from superres.reporting.run import Run

TRADE_OFF = (
    "A perfect sample of all the pictures that fit an input has twice the squared error of their "
    "mean, that is 3 dB less PSNR, so a single sample may fall below bicubic in PSNR while its "
    "statistics (SWD) come closer to the originals’; one network gives both ends."
)
FEW_TILES = 100
"""Below so many, distances between sets of tiles are rough, and the page says so."""


def labels(sampling: dict[str, Any]) -> dict[str, str]:
    """Return what each contender is called on the page."""
    return {
        "estimate": "estimate",
        "model": "one sample",
        "mean": f"mean of {sampling.get('repeats', 'several')} samples",
        "bicubic": "bicubic",
        "bilinear": "bilinear",
        "lanczos": "Lanczos",
    }


def evaluations(sampling: dict[str, Any]) -> dict[str, int]:
    """Return how often each contender evaluates the network for one tile, as `sample` recorded it.

    Runs from before it did lack the number; then only the estimate's is known.
    """
    recorded = sampling.get("evaluations")
    if not isinstance(recorded, int):
        return {"estimate": 1}
    repeats = int(sampling.get("repeats", 1))
    return {"estimate": 1, "model": recorded, "mean": recorded * repeats}


def facts(run: Run) -> list[str]:
    """Return what was trained on what, in a few words each, for the line under the verdict."""
    model = _model(run)
    undone = " and ".join(map(str, run.sampling.get("entropies", [])))
    found = [f"{run.sampling.get('scale', '?')}× larger" + (f", {undone} undone" if undone else "")]
    if trained_here(run):
        trained = run.photographs[(run.photographs["status"] == "used")]
        trained = trained[trained["split"] == "train"]
        found.append(
            f"trained on {counted(int(trained['tiles'].sum()), 'tile')} of "
            f"{counted(len(trained), 'photograph')}"
        )
    else:
        found.append(f"weights from elsewhere ({model.get('file', '?')})")
    if "start_from" in model:
        found.append(f"begun with the model {model['start_from']}")
    if isinstance(model.get("step"), int):
        found.append(f"{model['step']:,} steps of training".replace(",", "\u202f"))
    if isinstance(model.get("parameters"), int):
        found.append(f"{model['parameters'] / 1e6:.2f}\u00a0M parameters")
    steps = run.sampling.get("steps", "?")
    cost = evaluations(run.sampling).get("model", "an unknown number of")
    student = " by a student distilled from the model" if run.sampling.get("student") else ""
    return [
        *found,
        f"sampled{student} in {steps} steps of {run.sampling.get('sampler', '?')} "
        f"({cost} network evaluations)",
    ]


def trained_here(run: Run) -> bool:
    """Whether the model was trained by this pipeline, so that its test photographs are new to it.

    Of imported weights (`superres import`) nobody here knows what they were trained on.
    """
    return "origin" not in _model(run)


def verdict(run: Run) -> str:
    """Return the run's result in one sentence, whatever it is."""
    photographs = counted(run.per_tile["source"].nunique(), "photograph")
    unseen = " that training never saw" if trained_here(run) else ""
    if "start_from" in _model(run):  # what that model has seen, nobody here knows
        unseen = " that this training never saw"
    return (
        f"On {counted(run.tiles, 'tile')} of {photographs}{unseen}, {_psnr_sentence(run)}; "
        f"{_swd_sentence(run)}."
    )


def _model(run: Run) -> dict[str, Any]:
    model = run.sampling.get("model")
    return model if isinstance(model, dict) else {}


def _psnr_sentence(run: Run) -> str:
    """Say how far the closer one of estimate and mean is from bicubic."""
    bicubic = run.metrics["bicubic"]["psnr"]
    known = {
        name: psnr
        for name in ("estimate", "mean")
        if (psnr := run.metrics.get(name, {}).get("psnr")) is not None
    }
    if bicubic is None or not known:
        return "the estimate cannot be compared with bicubic in PSNR"
    name = max(known, key=lambda name: known[name])
    gain = known[name] - bicubic
    where = "above" if gain >= 0 else "below"
    sentence = f"the {labels(run.sampling)[name]} is {abs(gain):.2f} dB {where} bicubic in PSNR"
    ends = run.intervals.get(name, {}).get(GAIN_KEY)
    if ends is None:
        return sentence
    low, high = ends if gain >= 0 else (-ends[1], -ends[0])
    between = f"95 % interval {low:.2f} to {high:.2f}".replace("-", "−")
    return f"{sentence} ({'perhaps by chance, ' if low <= 0 <= high else ''}{between})"


def _swd_sentence(run: Run) -> str:
    sample = f"a single sample of {run.sampling.get('steps', '?')} steps"
    mine, other = run.metrics["model"]["swd"], run.metrics["bicubic"]["swd"]
    if mine is None or not other:
        return f"{sample} cannot be compared with bicubic in SWD"
    return f"{sample} has {share(mine / other)} bicubic’s SWD"


@dataclass(frozen=True)
class Remarks:
    """What there is to say of one thing."""

    title: str
    texts: list[str]
    """A sentence or two each; what stands between backticks is code."""


def remarks(run: Run) -> list[Remarks]:
    """Return what was dropped, missing, or of few samples, by what it is about."""
    notes: dict[bool, list[str]] = {True: [], False: []}
    for note in run.notes:
        notes[note.get("metric") == "intervals"].append(str(note.get("text", "")))
    found = {
        "tiles": [_tiles_left_out(run)],
        "figures": [_not_computed(run), *notes[False]],
        "exploring": run.explore_notes,
        "few samples": [_few_tiles(run), *notes[True]],
    }
    # A note stands there once for each figure that it is about.
    texts_by_title = {
        title: list(dict.fromkeys(filter(None, texts))) for title, texts in found.items()
    }
    return [Remarks(title, texts) for title, texts in texts_by_title.items() if texts]


def _tiles_left_out(run: Run) -> str:
    dropped, thinned = (
        int(run.photographs[name].fillna(0).sum()) for name in ("dropped", "thinned")
    )
    text = "No tile was dropped."
    if dropped:
        was = "tile was" if dropped == 1 else "tiles were"
        text = (
            f"{dropped} {was} dropped because of too little detail to learn from "
            "(`data.min_sharpness`)."
        )
    if thinned:
        text += (
            f" {thinned} more were left out where a photograph had more than its share "
            "(`data.max_tiles`)."
        )
    return text


def _not_computed(run: Run) -> str:
    """Return which figures are missing and of whom; the notes say why."""
    names = labels(run.sampling)
    missing: dict[tuple[str, ...], list[str]] = {}
    for figure in TABLE_FIGURES:
        lacking = [name for name in run.metrics if run.metrics[name].get(figure.name) is None]
        if lacking:
            missing.setdefault(tuple(lacking), []).append(figure.title)
    parts = []
    for contenders, titles in missing.items():
        whose = ", ".join(names.get(name, name) for name in contenders)
        of = "" if len(contenders) == len(run.metrics) else f" of {whose}"
        parts.append(f"{', '.join(titles)}{of}")
    return f"Not computed: {'; '.join(parts)}." if parts else ""


def _few_tiles(run: Run) -> str:
    if run.tiles >= FEW_TILES:
        return ""
    return (
        f"There {'is' if run.tiles == 1 else 'are'} only {counted(run.tiles, 'test tile')}: "
        "distances between sets of tiles (SWD and its like) are rough, and small differences "
        "between contenders may be chance."
    )
