"""Fixtures of the tests of distillation."""

from one_thread import one_thread  # noqa: F401 - pytest looks for fixtures here
