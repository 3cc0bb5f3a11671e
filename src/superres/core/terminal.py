"""What a command says to a person, whatever the terminal can show."""

from __future__ import annotations

import sys
from typing import TextIO


def echo(text: str, stream: TextIO | None = None) -> None:
    """Print text at once, on standard output by default.

    Characters that the stream does not know, as names of files may have them, are spelt out.
    """
    stream = stream or sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
