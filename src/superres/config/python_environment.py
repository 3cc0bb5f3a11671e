"""Whether this is the Python of the project: asked before anything is imported that it may lack."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable

OLDEST = (3, 11)
MODULES = (
    *("PIL", "fsspec", "jinja2", "joblib", "lazy_loader", "matplotlib", "numpy", "pandas"),
    *("pydantic", "safetensors", "scipy", "skimage", "torch", "tqdm", "yaml"),
)
"""What the stages import, of the dependencies in `pyproject.toml`."""


def fault(modules: Iterable[str] = MODULES) -> str | None:
    """Return what tells this Python from the project's, and how to get into that, or None."""
    version = ".".join(map(str, sys.version_info[:2]))
    absent = [name for name in modules if importlib.util.find_spec(name) is None]
    if sys.version_info[:2] < OLDEST:
        lacks = f"it is older than {'.'.join(map(str, OLDEST))}"
    elif absent:
        lacks = f"it lacks {', '.join(absent)}"
    else:
        return None
    return (
        f"`python` is {sys.executable} (Python {version}), which is not the environment of the "
        f"project: {lacks}. Stages run the first `python` in PATH: `source .venv/bin/activate`, "
        "after `make env` where there is no .venv, and run this again"
    )
