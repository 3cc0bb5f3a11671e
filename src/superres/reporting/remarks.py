"""What was left out of a run, could not be computed, or is of few samples."""

from __future__ import annotations

from dataclasses import dataclass

from superres.reporting.run import Run
from superres.reporting.tables import COLUMNS
from superres.reporting.wording import counted, labels

FEW_TILES = 100
"""Below so many, distances between sets of tiles are rough, and the page says so."""


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
        "tiles": [_dull_tiles(run)],
        "figures": [_not_computed(run), *notes[False]],
        "exploring": run.explore_notes,
        "few samples": [_few_tiles(run), *notes[True]],
    }
    # A note stands there once for each figure that it is about.
    told = {title: list(dict.fromkeys(filter(None, texts))) for title, texts in found.items()}
    return [Remarks(title, texts) for title, texts in told.items() if texts]


def _dull_tiles(run: Run) -> str:
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
    for column in COLUMNS:
        lacking = [name for name in run.metrics if run.metrics[name].get(column.key) is None]
        if lacking:
            missing.setdefault(tuple(lacking), []).append(column.title)
    told = []
    for contenders, titles in missing.items():
        whose = ", ".join(names.get(name, name) for name in contenders)
        of = "" if len(contenders) == len(run.metrics) else f" of {whose}"
        told.append(f"{', '.join(titles)}{of}")
    return f"Not computed: {'; '.join(told)}." if told else ""


def _few_tiles(run: Run) -> str:
    if run.tiles >= FEW_TILES:
        return ""
    return (
        f"There {'is' if run.tiles == 1 else 'are'} only {counted(run.tiles, 'test tile')}: "
        "distances between sets of tiles (SWD and its like) are rough, and small differences "
        "between contenders may be chance."
    )
