"""Which models the page offers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from superres.model import found
from superres.model.spec import DESCRIPTION, read_spec


def found_models(given: Sequence[str], folder: str | Path | None = None) -> dict[str, list[str]]:
    """Return model folders with the corruptions that each knows, the one to begin with first.

    Args:
        given: folders that somebody named: first, in their order.
        folder: where else to look, for model folders in it; by default beside the checkout's.

    Raises:
        SuperresError: a given folder is no model, or nothing is given and nothing found.
    """
    models = {name: read_spec(name).entropies for name in given}
    beside = sorted(Path(folder or found.CHECKOUT.parent).glob("*"))
    for path in (found.CHECKOUT, *beside, found.BOX):
        if (path / DESCRIPTION).is_file() and str(path) not in models:
            models[str(path)] = read_spec(path).entropies
    return models or {str(found.find_model().folder): []}
