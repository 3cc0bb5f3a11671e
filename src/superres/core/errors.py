"""Errors that a user can mend: a stage prints them in one line, without a traceback."""

from __future__ import annotations


class SuperresError(Exception):
    """Something in the input (a file, a param, a folder) is wrong; the message names it."""
