"""What is made once, while nobody waits or when somebody first does."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from superres.app.later import Later


def test_it_is_made_once_and_everybody_waits_for_it() -> None:
    made: list[int] = []

    def make() -> object:
        made.append(threading.get_ident())
        time.sleep(0.1)
        return object()

    later = Later(make)
    assert not made, "before anybody asks"
    with ThreadPoolExecutor(4) as pool:
        values = {id(one) for one in pool.map(lambda _: later(), range(8))}
    assert len(made) == 1 and values == {id(later())}


def test_what_goes_wrong_is_told_to_each_and_tried_anew() -> None:
    outcomes = iter([ImportError("no torch"), "made"])

    def make() -> str:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    later = Later(make)
    with pytest.raises(ImportError, match="no torch"):
        later()
    assert later() == later() == "made"
