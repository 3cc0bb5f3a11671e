"""Fixtures of the tests of training."""

from one_thread import one_thread  # noqa: F401 - pytest looks for fixtures here
