"""`python -m superres`: the command line."""

from superres.cli import main

raise SystemExit(main())
