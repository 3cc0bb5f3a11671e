"""`python -m superres.config [FILE]`: check every section; silent when the file is right."""

from __future__ import annotations

import sys

from superres.config.check import check_params
from superres.core.errors import SuperresError
from superres.core.params import PARAMS_FILE


def main() -> int:
    """Return the exit status: 0 where the file is right, 1 after listing its faults."""
    path = sys.argv[1] if len(sys.argv) > 1 else PARAMS_FILE
    try:
        check_params(path)
    except SuperresError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
