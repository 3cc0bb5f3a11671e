"""Fixtures of the tests of selection."""

from one_thread import one_thread  # noqa: F401 - pytest looks for fixtures here
