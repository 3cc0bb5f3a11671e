"""The figures of docs/model-card.md: a model on photographs it never saw, against bicubic.

    PYTHONPATH=src python benchmarks/model_card.py PHOTOGRAPHS [--count 48] [--model DIR]

The middle of each photograph is corrupted as the model's inputs were, mildly, in between, strongly
and not at all, together with what lies around it, which is then cut off. The remaining 192 px are
restored: by the estimate, told the true entropies, estimated ones and none, and by one sample.
Prints Markdown; intervals are of 95 %, by bootstrap over photographs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from superres.degradation.chain import Degradation
from superres.degradation.degrade import degrade
from superres.metrics.bootstrap import interval, resampled_means
from superres.metrics.config import BootstrapParams
from superres.metrics.fidelity import psnr
from superres.metrics.grain import color_grain, luma_grain, smooth_roughness
from superres.metrics.swd import QUICK, descriptors, sliced_distances
from superres.restoration.restorer import Restorer, load

EDGE = 192
AROUND = 16
"""Pixels of the input that are corrupted with the middle and cut off: what blur sees there."""
SETTINGS = {
    "mild": {"blur": 0.1, "jpeg": 0.1},
    "medium": {"blur": 0.4, "jpeg": 0.4},
    "strong": {"blur": 0.8, "jpeg": 0.8},
    "none": {},
}
Pictures = dict[str, np.ndarray]


def middles(folder: Path, first: int, count: int, edge: int) -> Pictures:
    """Return the middles of photographs, evenly chosen from a folder, by name."""
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
    paths = paths[first :: max(1, (len(paths) - first) // count)][:count]
    cut = {}
    for path in paths:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        if min(pixels.shape[:2]) < edge:
            raise SystemExit(f"{path}: smaller than {edge} px")
        top, left = ((length - edge) // 2 for length in pixels.shape[:2])
        cut[path.stem] = np.ascontiguousarray(pixels[top : top + edge, left : left + edge])
    return cut


def without(around: int, pictures: Pictures) -> Pictures:
    """Return pictures without so many pixels on each side."""
    inside = slice(around, -around)
    return {name: np.ascontiguousarray(p[inside, inside]) for name, p in pictures.items()}


def bicubic(low: np.ndarray, scale: int) -> np.ndarray:
    """Return an input enlarged as Pillow does it."""
    size = (low.shape[1] * scale, low.shape[0] * scale)
    return np.asarray(Image.fromarray(low).resize(size, Image.Resampling.BICUBIC))


def gains(restored: Pictures, base: Pictures, originals: Pictures) -> np.ndarray:
    """Return PSNR over bicubic's by photograph, in dB."""
    pairs = [(restored[name], base[name], original) for name, original in originals.items()]
    return np.array([psnr(one, high) - psnr(other, high) for one, other, high in pairs])


def with_interval(values: np.ndarray) -> str:
    """Return a mean with its interval, as text."""
    units = np.arange(len(values)).astype(str)
    means = resampled_means(values[:, np.newaxis], units, BootstrapParams(resamples=1000, seed=0))
    low, high = interval(means)[:, 0]
    return f"{values.mean():+.2f} ({low:+.2f} to {high:+.2f})"


def distance(restored: Pictures, originals: Pictures) -> float:
    """Return the sliced Wasserstein distance, the mean over levels."""
    names = list(originals)
    ours, theirs = (
        descriptors([pictures[name] for name in names], names, QUICK)
        for pictures in (restored, originals)
    )
    return float(np.mean(sliced_distances(theirs, ours, QUICK)))


def grains(restored: Pictures, originals: Pictures) -> list[str]:
    """Return grain of colour and luma as ratios, and roughness in levels, as texts."""

    def mean(measure: Callable[[np.ndarray, np.ndarray], float]) -> float:
        return float(np.nanmean([measure(restored[n], high) for n, high in originals.items()]))

    ratios = [10 ** (mean(measure) / 10) for measure in (color_grain, luma_grain)]
    return [*(f"{ratio:.2f}" for ratio in ratios), f"{mean(smooth_roughness):+.2f}"]


def row(
    name: str, told: dict[str, float], restorer: Restorer, wider: Pictures, out: Path | None
) -> str:
    """Return a row of the table, the pictures written where a folder is given.

    Args:
        name: of the setting.
        told: entropies, the others are 0.
        restorer: the model.
        wider: originals with what lies around them.
        out: the folder.
    """
    degradation = Degradation.from_json(restorer.model.spec.degradation)
    entropies = dict.fromkeys(degradation.names, 0.0) | told
    originals = without(AROUND * restorer.scale, wider)
    lows = without(
        AROUND, {n: degrade(degradation, high, entropies, n)[0] for n, high in wider.items()}
    )
    base = {n: bicubic(low, restorer.scale) for n, low in lows.items()}
    ways: dict[str, dict[str, Any]] = {
        "estimate": {"estimate": True, **told},
        "auto": {"estimate": True, "entropy": "auto"},
        "nothing told": {"estimate": True},
        "sample": {"estimate": False, **told},
    }
    restored = {
        way: {n: restorer.restore(low, **options) for n, low in lows.items()}
        for way, options in ways.items()
    }
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for way, pictures in {**restored, "bicubic": base, "original": originals}.items():
            for n, pixels in pictures.items():
                Image.fromarray(pixels).save(out / f"{n}-{name}-{way}.png")
    ratio = distance(restored["sample"], originals) / distance(base, originals)
    cells = [
        name,
        *(with_interval(gains(pictures, base, originals)) for pictures in restored.values()),
        f"{ratio:.2f}",
        *grains(restored["sample"], originals),
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--count", type=int, default=48)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--model")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    restorer = load(args.model)
    edge = EDGE + 2 * AROUND * restorer.scale
    originals = middles(args.photographs, args.first, args.count, edge)
    print(f"{len(originals)} photographs; PSNR over bicubic in dB, with 95 % intervals\n")
    print(
        "| corruption | estimate | entropies estimated | nothing told | one sample | SWD, sample "
        "over bicubic | colour grain | luma grain | rough where smooth, levels |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, told in SETTINGS.items():
        print(row(name, told, restorer, originals, args.out), flush=True)


if __name__ == "__main__":
    main()
