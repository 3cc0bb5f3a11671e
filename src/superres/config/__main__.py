"""`python -m superres.config [FILE]`: check every section; silent when the file is right.

The first command of every stage, so it also says when this is not the project's Python.
"""

from __future__ import annotations

import sys

from superres.config.python_environment import fault
from superres.core.errors import SuperresError


def main() -> int:
    """Return the exit status: 0 where the file is right, 1 after listing its faults."""
    if wrong := fault():
        print(wrong, file=sys.stderr)
        return 1
    # Not before: another Python may lack what these import.
    from superres.config.check import check_params  # noqa: PLC0415
    from superres.core.params import PARAMS_FILE  # noqa: PLC0415

    path = sys.argv[1] if len(sys.argv) > 1 else PARAMS_FILE
    try:
        check_params(path)
    except SuperresError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
