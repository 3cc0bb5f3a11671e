from __future__ import annotations

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
