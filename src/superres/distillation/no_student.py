"""What the `distill` stage leaves where no student is asked for."""

from __future__ import annotations

from pathlib import Path

from superres.core.storage import replacing_folder, write_bytes

SAID = "No student: distill.steps is 0.\n"
"""In the place of a model; DVC wants an output that holds something."""


def write_no_student(out: Path, log_file: Path) -> None:
    """Write a folder that is no model folder, and a log without rows."""
    with replacing_folder(out) as partial:
        write_bytes(partial / "README.txt", SAID.encode())
    write_bytes(log_file, b"step,loss\n")
