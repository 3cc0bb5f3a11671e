"""What the page says in words: names, what was trained, the verdict, what was left out."""

from __future__ import annotations

from typing import Any

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
    model = run.sampling.get("model")
    model = model if isinstance(model, dict) else {}
    used = run.photographs[(run.photographs["status"] == "used")]
    trained = used[used["split"] == "train"]
    found = [
        f"{run.sampling.get('scale', '?')}× larger",
        f"trained on {counted(int(trained['tiles'].sum()), 'tile')} of "
        f"{counted(len(trained), 'photograph')}",
    ]
    if isinstance(model.get("step"), int):
        found.append(counted(model["step"], "training step"))
    if isinstance(model.get("parameters"), int):
        found.append(f"{model['parameters'] / 1e6:.2f} M parameters")
    sampler = run.sampling.get("sampler", "?")
    return [*found, f"sampled in {run.sampling.get('steps', '?')} steps ({sampler})"]


def verdict(run: Run) -> str:
    """Return the run's result in one sentence, whatever it is."""
    photographs = run.per_tile["source"].nunique()
    bicubic = run.metrics["bicubic"]
    begin = (
        f"On {counted(run.tiles, 'tile')} of {counted(photographs, 'photograph')} that training "
        "never saw, "
    )
    gain = _difference(run.metrics["estimate"]["psnr"], bicubic["psnr"])
    steps = run.sampling.get("steps", "?")
    return begin + f"{_gain_words(gain)}, {_swd_words(run.metrics['model'], bicubic, steps)}."


def _gain_words(gain: float | None) -> str:
    if gain is None:
        return "the estimate of one network evaluation cannot be compared in PSNR"
    where = "above" if gain >= 0 else "below"
    return (
        f"the estimate of one network evaluation lies {abs(gain):.2f} dB {where} bicubic "
        "interpolation in PSNR"
    )


def _swd_words(model: dict[str, Any], bicubic: dict[str, Any], steps: object) -> str:
    sample = f"a single sample of {steps} steps"
    mine, other = model["swd"], bicubic["swd"]
    if mine is None or not other:
        return f"and {sample} cannot be compared in SWD"
    share = 1 - mine / other
    where = "closer to" if share >= 0 else "farther from"
    link = "and" if share >= 0 else "while"
    return (
        f"{link} the statistics of {sample} are {abs(share):.0%} {where} the originals’ than "
        "bicubic’s (SWD)"
    )


def _difference(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other
