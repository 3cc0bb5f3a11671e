"""What the page says in words: names, what was trained, the verdict."""

from __future__ import annotations

from typing import Any

from superres.metrics.intervals import GAIN_KEY
from superres.reporting.run import Run

TRADE_OFF = (
    "A perfect sample of all the pictures that fit an input has twice the squared error of their "
    "mean, that is 3 dB less PSNR, so a single sample may fall below bicubic in PSNR while its "
    "statistics (SWD) come closer to the originals’; one network gives both ends."
)


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
    """Return how often each contender evaluates the network for one tile."""
    steps, repeats = int(sampling.get("steps", 0)), int(sampling.get("repeats", 1))
    return {"estimate": 1, "model": steps, "mean": steps * repeats}


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 tile`, `2 tiles`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


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
    if isinstance(model.get("step"), int):
        found.append(f"{model['step']:,} steps of training".replace(",", "\u202f"))
    if isinstance(model.get("parameters"), int):
        found.append(f"{model['parameters'] / 1e6:.2f}\u00a0M parameters")
    steps = run.sampling.get("steps", "?")
    return [*found, f"sampled in {steps} steps of {run.sampling.get('sampler', '?')}"]


def trained_here(run: Run) -> bool:
    """Whether the model was trained by this pipeline, so that its test photographs are new to it.

    Of imported weights (`superres import`) nobody here knows what they were trained on.
    """
    return "origin" not in _model(run)


def verdict(run: Run) -> str:
    """Return the run's result in one sentence, whatever it is."""
    photographs = counted(run.per_tile["source"].nunique(), "photograph")
    unseen = " that training never saw" if trained_here(run) else ""
    return (
        f"On {counted(run.tiles, 'tile')} of {photographs}{unseen}, {_psnr_words(run)}; "
        f"{_swd_words(run)}."
    )


def _model(run: Run) -> dict[str, Any]:
    model = run.sampling.get("model")
    return model if isinstance(model, dict) else {}


def _psnr_words(run: Run) -> str:
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
    said = f"the {labels(run.sampling)[name]} is {abs(gain):.2f} dB {where} bicubic in PSNR"
    ends = run.intervals.get(name, {}).get(GAIN_KEY)
    if ends is None:
        return said
    low, high = ends if gain >= 0 else (-ends[1], -ends[0])
    between = f"95 % interval {low:.2f} to {high:.2f}".replace("-", "−")
    return f"{said} ({'perhaps by chance, ' if low <= 0 <= high else ''}{between})"


def _swd_words(run: Run) -> str:
    sample = f"a single sample of {run.sampling.get('steps', '?')} steps"
    mine, other = run.metrics["model"]["swd"], run.metrics["bicubic"]["swd"]
    if mine is None or not other:
        return f"{sample} cannot be compared with bicubic in SWD"
    return f"{sample} has {share(mine / other)} bicubic’s SWD"


def share(ratio: float) -> str:
    """Return a ratio as one says it: `half`, `a third of`, `62 % of`, `1.4 times`."""
    told = {1 / 4: "a quarter of", 1 / 3: "a third of", 1 / 2: "half", 2 / 3: "two thirds of"}
    told |= {3 / 4: "three quarters of", 1.0: "all of"}
    near = min(told, key=lambda share: abs(share - ratio))
    if abs(near - ratio) < 0.0125:
        return told[near]
    if ratio < 1:
        return f"{100 * ratio:.0f} % of"
    return f"{ratio:.{0 if ratio >= 10 else 1 if ratio >= 1.1 else 2}f} times"
