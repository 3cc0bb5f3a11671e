"""Every figure that is measured, a row each: its name, which way is better, how it is made.

A new figure of two pictures or of two sets of features is a function and a row here. From the rows
come `metrics.json`, the tables, the page, `superres evaluate` and the table in `docs/metrics.md`
(`make deps` writes it). Nothing here needs a network: those of LPIPS, DISTS and of features are
loaded by `superres.evaluation`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from superres.metrics.config import KidParams
from superres.metrics.feature_distances import (
    frechet_distance,
    kernel_distance,
    precision,
    recall,
)
from superres.metrics.feature_sets import FeatureSet
from superres.metrics.fidelity import (
    SSIM_WINDOW,
    channel_shift,
    mean_color_shift,
    psnr,
    psnr_y,
    ssim,
    ssim_y,
)
from superres.metrics.grain import color_grain, luma_grain, smooth_roughness

CHANNELS = {"r": "red", "g": "green", "b": "blue"}
Better = Literal["higher", "lower", "nearer zero"]


@dataclass(frozen=True)
class FeatureSettings:
    """How sets of features are compared."""

    kid: KidParams
    neighbours: int
    """Which nearest neighbour bounds the balls of precision and recall."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What is known of a figure without computing it."""

    name: str
    """Its key in `metrics.json`, its column in `per_tile.csv`."""
    title: str
    unit: str
    digits: int
    """Decimals that are shown."""
    better: Better
    meaning: str
    """For readers of the page: what it looks at."""
    method: str
    """How it is computed, in `measured.json` and `docs/metrics.md`."""
    headline: bool = False
    """Whether it is among the first columns of the tables."""
    weights: str = ""
    """Whose weights it needs, if any."""


@dataclass(frozen=True, kw_only=True)
class TileFigure(Figure):
    """A figure of one restored picture; a contender's is the mean over its pictures."""

    measure: Callable[[np.ndarray, np.ndarray], float] | None
    """Of the restored picture and the original (uint8, H x W x 3); None: a network computes it."""
    matlab: Callable[[np.ndarray, np.ndarray], float] | None = None
    """The same of luma that is rounded to 8 bits, where luma is measured."""
    against: Literal["original", "input"] = "original"
    """`input`: the restored picture degraded again is compared with what it was restored from."""
    cropped: bool = False
    """Whether `evaluate.border_crop` applies."""
    averaged: bool = True
    """False: it is in `per_tile.csv` alone."""
    undefined: str = (
        "the picture of one contender or more equals what it is compared with, pixel for pixel, "
        "and the figure is infinite"
    )
    """Where there is no finite figure."""


@dataclass(frozen=True, kw_only=True)
class SetFigure(Figure):
    """A figure of all restored pictures against all originals."""

    measure: (
        Callable[[FeatureSet, FeatureSet, FeatureSettings], float | tuple[float, float] | None]
        | None
    )
    """Of the originals' features and the restored ones'; None where sets are too small. No function
    at all: it is not made of features."""
    deviation: str = ""
    """Key of its standard deviation, where the function returns the figure and that."""


FIGURES: tuple[Figure, ...] = (
    TileFigure(
        name="psnr",
        title="PSNR",
        unit="dB",
        digits=2,
        better="higher",
        meaning="Peak signal-to-noise ratio over RGB, of 8 bits.",
        method="RGB of 8 bits, peak 255, dB",
        headline=True,
        measure=psnr,
        cropped=True,
    ),
    TileFigure(
        name="psnr_y",
        title="PSNR-Y",
        unit="dB",
        digits=2,
        better="higher",
        meaning="PSNR of BT.601 luma (16 to 235; of grey originals, the greys themselves).",
        method="BT.601 luma 16 to 235 (greys as they are), peak 255, dB",
        measure=psnr_y,
        matlab=partial(psnr_y, rounded=True),
        cropped=True,
    ),
    TileFigure(
        name="ssim",
        title="SSIM",
        unit="",
        digits=3,
        better="higher",
        meaning="Structural similarity, Gaussian window of 11 px.",
        method=f"RGB, Gaussian window of deviation 1.5 in {SSIM_WINDOW} x {SSIM_WINDOW} px, "
        "mean of channels",
        measure=ssim,
        cropped=True,
    ),
    TileFigure(
        name="ssim_y",
        title="SSIM-Y",
        unit="",
        digits=3,
        better="higher",
        meaning="SSIM of BT.601 luma.",
        method="BT.601 luma (greys as they are), the same window, range 255",
        measure=ssim_y,
        matlab=partial(ssim_y, rounded=True),
        cropped=True,
    ),
    TileFigure(
        name="lr_psnr",
        title="LR-PSNR",
        unit="dB",
        digits=2,
        better="higher",
        meaning="The restored tile degraded again, against its input: whether it stays true to it.",
        method="restored, degraded again with the known entropies, against the input",
        measure=psnr,
        against="input",
    ),
    TileFigure(
        name="color_shift",
        title="colour",
        unit="levels",
        digits=2,
        better="nearer zero",
        meaning="Mean of restored minus original over all pixels and channels: drift of colour.",
        method="restored minus original, 8-bit levels",
        measure=mean_color_shift,
    ),
    *(
        TileFigure(
            name=f"color_shift_{letter}",
            title=f"colour, {channel}",
            unit="levels",
            digits=2,
            better="nearer zero",
            meaning=f"Mean of restored minus original over the {channel} channel.",
            method=f"restored minus original of the {channel} channel, 8-bit levels",
            measure=partial(channel_shift, channel=number),
            averaged=False,
        )
        for number, (letter, channel) in enumerate(CHANNELS.items())
    ),
    TileFigure(
        name="color_grain",
        title="colour grain",
        unit="dB",
        digits=1,
        better="nearer zero",
        meaning="Energy of the finest detail of colour over the original’s: 3 dB are twice as "
        "much. Coloured specks raise it.",
        method="ratio of the energies of the Laplacians of Cb and Cr (BT.601) to the original's, "
        "each with that of rounding to 8 bits added, dB",
        measure=color_grain,
        cropped=True,
    ),
    TileFigure(
        name="luma_grain",
        title="luma grain",
        unit="dB",
        digits=1,
        better="nearer zero",
        meaning="The same of luma: below zero fine detail is missing, above there is too much.",
        method="the same of luma, dB",
        measure=luma_grain,
        cropped=True,
    ),
    TileFigure(
        name="smooth_roughness",
        title="rough where smooth",
        unit="levels",
        digits=2,
        better="nearer zero",
        meaning="How much rougher than the original the parts are that are smooth there, such "
        "as sky.",
        method="deviation of luma in 8 x 8 px blocks, restored minus original, mean over those "
        "whose original deviates by less than 2 levels",
        measure=smooth_roughness,
        cropped=True,
        undefined="the original has no smooth part",
    ),
    TileFigure(
        name="lpips",
        title="LPIPS",
        unit="",
        digits=3,
        better="lower",
        meaning="Distance in the features of AlexNet, weighted as people judged pictures "
        "(version 0.1).",
        method="version 0.1, alexnet-owt-7be5be79.pth and alex.pth (df73285e), whole RGB pictures "
        "in [-1, 1]",
        headline=True,
        weights="LPIPS",
        measure=None,
    ),
    TileFigure(
        name="dists",
        title="DISTS",
        unit="",
        digits=3,
        better="lower",
        meaning="Distance of structure and texture in the features of VGG-16.",
        method="vgg16-397923af.pth and weights.pt (f5e65c96), whole RGB pictures in [0, 1]",
        weights="DISTS",
        measure=None,
    ),
    SetFigure(
        name="fid",
        title="FID",
        unit="",
        digits=2,
        better="lower",
        meaning="Fréchet distance of the 2048 pooled features of the 2015 Inception network.",
        method="Fréchet distance of normal distributions with the features' moments, float64",
        weights="Inception",
        measure=lambda original, restored, _: frechet_distance(original, restored),
    ),
    SetFigure(
        name="kid",
        title="KID",
        unit="",
        digits=4,
        better="lower",
        meaning="Kernel distance of the same features, mean and deviation of subsets.",
        method="squared maximum mean discrepancy, kernel (x y / 2048 + 1)^3 or that of "
        "`evaluate.kid`, unbiased, mean over subsets",
        weights="Inception",
        measure=lambda original, restored, how: kernel_distance(original, restored, how.kid),
        deviation="kid_std",
    ),
    SetFigure(
        name="precision",
        title="precision",
        unit="",
        digits=3,
        better="higher",
        meaning="Share of restored tiles among the originals’ neighbours in those features: do "
        "they look like photographs?",
        method="share of restored features within the originals' nearest-neighbour balls",
        weights="Inception",
        measure=lambda original, restored, how: (
            precision(original, restored, how.neighbours)
            if _have_neighbours(original, restored, how)
            else None
        ),
    ),
    SetFigure(
        name="recall",
        title="recall",
        unit="",
        digits=3,
        better="higher",
        meaning="Share of originals among the restored tiles’ neighbours: is their variety there?",
        method="share of original features within the restored ones' nearest-neighbour balls",
        weights="Inception",
        measure=lambda original, restored, how: (
            recall(original, restored, how.neighbours)
            if _have_neighbours(original, restored, how)
            else None
        ),
    ),
    SetFigure(
        name="swd",
        title="SWD",
        unit="levels",
        digits=2,
        better="lower",
        meaning="Sliced Wasserstein distance between 7 × 7 px patches of the restored and of the "
        "original tiles, mean over the levels of a Laplacian pyramid: whether fine detail is there "
        "in the right amount, wherever it lies.",
        method="sliced Wasserstein distance of 7 x 7 px patches, mean over pyramid levels",
        headline=True,
        measure=None,
    ),
)
"""In the order of `metrics.json`."""

TILE_FIGURES = tuple(figure for figure in FIGURES if isinstance(figure, TileFigure))
FEATURE_FIGURES = tuple(
    figure for figure in FIGURES if isinstance(figure, SetFigure) and figure.measure is not None
)
TABLE_FIGURES = tuple(
    sorted(
        (f for f in FIGURES if not isinstance(f, TileFigure) or f.averaged),
        key=lambda figure: not figure.headline,
    )
)
"""Figures that contenders have, in the order of the tables: headlines first."""


def figure_named(name: str) -> Figure:
    """Return a row of the catalog."""
    return next(figure for figure in FIGURES if figure.name == name)


def _have_neighbours(original: FeatureSet, restored: FeatureSet, how: FeatureSettings) -> bool:
    return min(len(original.held), len(restored.held)) > how.neighbours
