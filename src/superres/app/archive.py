"""Several restored pictures in one file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile


def write_archive(out: Path, files: Sequence[Path]) -> None:
    """Write files to a ZIP file, as they are: pictures are compressed already.

    Of files with one name the second is called `NAME (2).png`, and so on.
    """
    given: Counter[str] = Counter()
    with ZipFile(out, "w", ZIP_STORED) as archive:
        for file in files:
            name = file.name
            while given[name]:
                given[file.name] += 1
                name = f"{file.stem} ({given[file.name]}){file.suffix}"
            given[name] += 1
            archive.write(file, name)
