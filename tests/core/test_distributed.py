from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from superres.core.distributed import Processes, connected, on_first
from superres.core.errors import SuperresError

CPU = torch.device("cpu")


def test_a_first_process_that_cannot_write_ends_them_all() -> None:
    """Elsewhere the first is alone; here the others learn of its failure."""

    class Second(Processes):
        def largest(self, number: int) -> int:
            return 1

    with pytest.raises(SuperresError, match="the first of the processes has failed"):
        on_first(Second(1, 2, CPU), lambda: None)
    with pytest.raises(ZeroDivisionError):
        on_first(Processes(0, 1, CPU), lambda: 1 / 0)


def test_alone_nothing_is_exchanged() -> None:
    with connected() as processes:
        assert (processes.rank, processes.count, processes.sharded) == (0, 1, False)
        values = torch.arange(4)
        assert processes.gather(values) is values
        assert processes.largest(3) == 3
        assert processes.of_first([True, False]) == [True, False]
        assert processes.deal([4, 2, 7]) == [4, 2, 7]


def test_every_item_is_dealt_to_one_process() -> None:
    assert [Processes(rank, 3, CPU).deal([5, 1, 2, 9]) for rank in range(3)] == [[5, 9], [1], [2]]


def test_alone_results_pass_as_they_are_made() -> None:
    alone, made = Processes(0, 1, CPU), []
    results = (made.append(piece) or 2 * piece for piece in alone.deal([3, 1, 2]))
    for number, pair in enumerate(alone.in_order([3, 1, 2], results), 1):
        assert pair == (made[-1], 2 * made[-1])
        assert len(made) == number
    assert made == [3, 1, 2]
    assert alone.by_turns(lambda: 5) == 5
    assert alone.found_by_all(None, "it") is None and alone.found_by_all(5, "it") == 5


def test_what_the_first_alone_has_is_an_error_for_the_others() -> None:
    class Second(Processes):
        def of_first(self, flags: Sequence[bool]) -> list[bool]:
            return [first_has_it]

    second = Second(1, 2, CPU)
    first_has_it = True
    assert second.found_by_all(5, "it") == 5
    with pytest.raises(SuperresError, match="the first of the processes has it, this one has not"):
        second.found_by_all(None, "it")
    first_has_it = False
    assert second.found_by_all(5, "it") is None


def test_the_first_of_the_processes_fetches_before_the_others_begin() -> None:
    order: list[str] = []

    class Watched(Processes):
        def wait(self) -> None:
            order.append("wait")

    def fetch() -> None:
        order.append("fetch")

    Watched(0, 2, CPU).by_turns(fetch)
    Watched(1, 2, CPU).by_turns(fetch)
    assert order == ["fetch", "wait", "wait", "fetch"]
    with pytest.raises(ZeroDivisionError):
        Watched(0, 2, CPU).by_turns(lambda: 1 / 0)
    assert order[4:] == ["wait"]  # the others need not wait for ever
