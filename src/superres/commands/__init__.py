"""The command line's commands: one module each, with `add_arguments(parser)` and `run(args)`.

`superres.cli` finds them and turns errors into one line.
"""
