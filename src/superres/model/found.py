"""Which model is meant where none is named: that of the checkout, or the one in the package."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from superres.core.errors import SuperresError
from superres.model.spec import ModelSpec, read_spec

CHECKOUT = Path("models/best")
"""What the pipeline leaves, below the working directory."""
BOX = Path(__file__).parents[1] / "box" / "model"
"""What comes with the package; see `docs/model-card.md`."""
ESTIMATOR = "entropy"
"""The folder of the estimator of entropies, beside a model's."""


class Found(NamedTuple):
    """A model folder and how it was found."""

    folder: Path
    where: str
    """`given`, `checkout` or `box`."""
    spec: ModelSpec


def find_model(folder: str | Path | None = None) -> Found:
    """Return the model to use: the given one, else the checkout's, else the one in the box.

    Raises:
        SuperresError: no model there; what the checkout holds is damaged.
    """
    if folder is not None:
        return Found(Path(folder), "given", read_spec(folder))
    if CHECKOUT.exists():
        return Found(CHECKOUT, "checkout", read_spec(CHECKOUT))
    if not BOX.exists():
        raise SuperresError(
            f"no model: this installation of superres lacks its own ({BOX}), and {CHECKOUT} is not "
            "there; name one with --model, or train one with `dvc repro`"
        )
    return Found(BOX, "box", read_spec(BOX))


def known_models(folders: list[str]) -> list[Found]:
    """Return the models there are: those of folders that are given, the checkout's, the box's.

    A folder may be a model folder, or hold some at any depth.

    Raises:
        SuperresError: a folder without a model in it.
    """
    found = []
    for name in folders:
        inside = sorted(path.parent for path in Path(name).rglob("model.json"))
        found += [find_model(path) for path in inside] or [find_model(name)]
    if CHECKOUT.exists():
        found.append(Found(CHECKOUT, "checkout", read_spec(CHECKOUT)))
    if BOX.exists():
        found.append(Found(BOX, "box", read_spec(BOX)))
    return found


def described(found: Found) -> str:
    """Return one line on a model: where it is, what it does, and what it was trained on."""
    spec, provenance = found.spec, found.spec.provenance
    name = "in the box" if found.where == "box" else str(found.folder)
    facts = [f"{spec.scale}x", f"entropies {', '.join(spec.entropies) or 'none'}"]
    if "photographs" in provenance and "step" in provenance:
        facts.append(f"step {provenance['step']} on {provenance['photographs']} photographs")
    return f"{name}: {'; '.join(facts)}"
