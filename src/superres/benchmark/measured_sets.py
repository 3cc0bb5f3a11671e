"""Measuring contenders on a set, picture by picture, so that a run goes on where it ended."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from superres.benchmark.benchmark_sets import BenchmarkSet, Subject
from superres.benchmark.papers_inputs import (
    Protocol,
    bicubic_luma,
    check_size,
    cut_to_multiple,
    enlarged,
    make_input,
)
from superres.core.errors import SuperresError
from superres.core.hashing import sha256_of
from superres.core.images import encode_png, read_image
from superres.core.progress import progress_bar
from superres.core.storage import write_bytes, write_json
from superres.metrics.papers import is_grey, table_figures, table_luma

Restore = Callable[[np.ndarray, Mapping[str, float]], Iterator[tuple[str, np.ndarray]]]
"""An input (uint8, h x w x 3) and its true entropies by name, where they are known, to restored
pictures, each with the name it is kept under."""
Figures = dict[str, tuple[float, float]]
"""PSNR and SSIM by contender."""
FORMAT = 2
"""Of the record; another one is not gone on with."""


@dataclass(frozen=True)
class Model:
    """A model to be measured."""

    restore: Restore
    identity: Mapping[str, Any]
    """What its figures follow from beside the inputs: weights, sampling, seed."""


def measure_set(
    chosen: BenchmarkSet, protocol: Protocol, model: Model | None, out: Path
) -> dict[str, Any]:
    """Return a set's record, in which every picture is measured.

    `out` gets `SET-xN.json`, the record, written after each picture; in `SET-xN/input` the inputs
    that were made; in `SET-xN/estimate`, `sample-1`, ... what was restored. A record of the same
    protocol, model and pictures is gone on with, another one is begun anew.

    Args:
        chosen: the set.
        protocol: how inputs are made.
        model: None measures bicubic alone.
        out: folder of the results.

    Returns:
        `format`, `set`, `scale`, `inputs` (`made` or `given`), `of` (protocol and model) and
        `pictures`: by name `sha256` of its files, `figures` by contender, [PSNR, SSIM], PSNR null
        for equal pictures, `entropies` as they were applied, and of a given input `as_made`: the
        share of its values that the protocol's own has, and how far the others are from it at
        most, in 8-bit levels.

    Raises:
        SuperresError: a picture that cannot be read, is too small, or has another size than its
            input tells; naming it.
    """
    path = out / f"{chosen.name}-x{protocol.scale}.json"
    record: dict[str, Any] = {
        "format": FORMAT,
        "set": chosen.name,
        "scale": protocol.scale,
        "inputs": "made" if chosen.subjects[0].low is None else "given",
        "of": {**protocol.described(), "model": dict(model.identity) if model else None},
    }
    folder = path.with_suffix("")
    done = _done(path, record)
    pictures: dict[str, Any] = {}
    record["pictures"] = pictures
    with progress_bar(len(chosen.subjects), record["set"], "picture") as bar:
        for subject in chosen.subjects:
            key = [sha256_of(file) for file in subject[1:] if file is not None]
            known = done.get(subject.name)
            if known is None or known["sha256"] != key:
                try:
                    known = {"sha256": key, **_measure(subject, protocol, model, folder)}
                except SuperresError as error:
                    text = str(error)
                    message = (
                        text if str(subject.original) in text else f"{subject.original}: {text}"
                    )
                    raise SuperresError(message) from error
            pictures[subject.name] = known
            write_json(path, {**record, "pictures": {**done, **pictures}})
            bar.update()
    write_json(path, record)  # without pictures that are no longer there
    return record


def mean_figures(record: Mapping[str, Any]) -> Figures:
    """Return PSNR and SSIM of each contender, means over a record's pictures."""
    rows = [picture["figures"] for picture in record["pictures"].values()]
    found = {}
    for name in rows[0]:
        psnrs = [math.inf if row[name][0] is None else row[name][0] for row in rows]
        found[name] = (float(np.mean(psnrs)), float(np.mean([row[name][1] for row in rows])))
    return found


def agreement(record: Mapping[str, Any]) -> tuple[float, int] | None:
    """Return the share of given inputs' values that are as the protocol makes them.

    And how far the others are from that at most, in 8-bit levels; None for inputs that were made.
    """
    found = [one["as_made"] for one in record["pictures"].values() if "as_made" in one]
    if not found:
        return None
    return float(np.mean([share for share, _ in found])), max(most for _, most in found)


def _measure(
    subject: Subject, protocol: Protocol, model: Model | None, out: Path
) -> dict[str, Any]:
    """Return one picture's figures, as records hold them; what is made of it is written."""
    scale = protocol.scale
    original = cut_to_multiple(read_image(subject.original), scale)
    grey = is_grey(original)
    luma = table_luma(original, grey)
    low, entropies = make_input(original, protocol, subject.name)
    made = low
    facts: dict[str, Any] = {"entropies": entropies} if entropies else {}
    if subject.low is None:
        write_bytes(out / "input" / f"{subject.name}.png", encode_png(made))
    else:
        low = read_image(subject.low)
        check_size(low, original, scale)
        apart = np.abs(low.astype(int) - made)
        facts["as_made"] = [float((apart == 0).mean()), int(apart.max())]
    figures: Figures = {}

    def measure(name: str, restored: np.ndarray) -> None:
        figures[name] = table_figures(restored, luma, protocol.left_out)

    if protocol.classical:
        measure("bicubic", bicubic_luma(original, scale, grey))
    measure("bicubic of the inputs", table_luma(enlarged(low, scale), grey))
    samples = []
    for name, restored in model.restore(low, entropies) if model else ():
        write_bytes(out / name / f"{subject.name}.png", encode_png(restored))
        found = table_figures(table_luma(restored, grey), luma, protocol.left_out)
        if name == "estimate":
            figures[name] = found
        else:
            samples.append(found)
    if samples:
        figures["sample"] = (
            float(np.mean([one for one, _ in samples])),
            float(np.mean([one for _, one in samples])),
        )
    return {**facts, "figures": {name: _plain(one) for name, one in figures.items()}}


def _done(path: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the pictures of an unfinished or earlier run of the same."""
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise SuperresError(f"{path}: not JSON: {error}; remove it to begin anew") from error
    same = isinstance(before, dict) and all(before.get(key) == record[key] for key in record)
    return dict(before["pictures"]) if same else {}


def _plain(figures: tuple[float, float]) -> list[float | None]:
    psnr, ssim = figures
    return [None if math.isinf(psnr) else psnr, ssim]
