"""Which models the page offers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from superres.core.errors import SuperresError
from superres.model.folder import DESCRIPTION, read_spec
from superres.restoration.restorer import MODEL


def found_models(given: Sequence[str], folder: str | Path | None = None) -> dict[str, list[str]]:
    """Return model folders with the corruptions that each knows, the one to begin with first.

    Args:
        given: folders that somebody named: first, in their order.
        folder: where else to look, for model folders in it; by default where the model lies that
            `superres restore` takes.

    Raises:
        SuperresError: a given folder is no model, or nothing is given and nothing found.
    """
    found = {name: read_spec(name).entropies for name in given}
    for path in (Path(MODEL), *sorted(Path(folder or Path(MODEL).parent).glob("*"))):
        if (path / DESCRIPTION).is_file() and str(path) not in found:
            found[str(path)] = read_spec(path).entropies
    if not found:
        raise SuperresError(
            f"no model: {MODEL} is not there; `make repro` trains one, --model names another folder"
        )
    return found
