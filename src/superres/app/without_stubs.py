"""Importing Gradio without the type stubs that it writes each time, beside its own code.

They are for editors, and take a third of its import: a template is compiled and a file parsed for
each of its components. Measured with Gradio 6.31 on one core: 1.2 to 1.8 s of 3.7 s.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from types import ModuleType
from typing import Any

MODULE, WRITER = "gradio.component_meta", "create_or_modify_pyi"


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        if hasattr(module, WRITER):
            setattr(module, WRITER, lambda *_: None)


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: Any = None
    ) -> ModuleSpec | None:
        found = PathFinder.find_spec(fullname, path) if fullname == MODULE else None
        if found is None or not isinstance(found.loader, SourceFileLoader):
            return None
        file = found.loader.path
        return spec_from_file_location(fullname, file, loader=_Loader(fullname, file))


@contextmanager
def without_stubs() -> Iterator[None]:
    """Let what is imported in the block write none. Where Gradio has no such thing, do nothing."""
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
