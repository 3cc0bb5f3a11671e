from __future__ import annotations

import threading

import pytest

from superres.core.overlapping import overlapped


def test_every_item_is_read_computed_and_written_in_order() -> None:
    written: list[tuple[int, str]] = []
    here = threading.get_ident()
    computed_by = set()

    def compute(given: int) -> str:
        computed_by.add(threading.get_ident())
        return str(10 * given)

    overlapped(range(5), lambda item: item + 1, compute, lambda *one: written.append(one))
    assert written == [(item, str(10 * (item + 1))) for item in range(5)]
    assert computed_by == {here}
    overlapped([], int, str, lambda *one: written.append(one))
    assert len(written) == 5


def test_the_next_is_read_and_the_last_written_while_one_is_computed() -> None:
    """Computing the second waits for both; done one after the other, it would wait for ever."""
    read = [threading.Event() for _ in range(3)]
    written = [threading.Event() for _ in range(3)]

    def compute(item: int) -> int:
        if item == 1:
            assert read[2].wait(20) and written[0].wait(20)
        return item

    overlapped(
        range(3),
        lambda item: read[item].set() or item,
        compute,
        lambda item, _: written[item].set(),
    )
    assert all(one.is_set() for one in (*read, *written))


def test_no_more_than_one_is_read_ahead_or_waits_to_be_written() -> None:
    held: list[int] = []
    lock, most = threading.Lock(), [0]

    def read(item: int) -> int:
        with lock:
            held.append(item)
            most[0] = max(most[0], len(held))
        return item

    def write(item: int, _: int) -> None:
        threading.Event().wait(0.002)  # slower than all else
        with lock:
            held.remove(item)

    overlapped(range(30), read, int, write)
    assert most[0] <= 4  # one ahead, one computed, one waiting, one being written


@pytest.mark.parametrize("where", ["read", "compute", "write"])
@pytest.mark.parametrize("bad", [0, 2, 4])
def test_what_fails_ends_it_with_its_own_error(where: str, bad: int) -> None:
    written: list[int] = []

    def failing(name: str, item: int) -> int:
        if (name, item) == (where, bad):
            raise ZeroDivisionError(f"{name} of {item}")
        return item

    with pytest.raises(ZeroDivisionError, match=f"{where} of {bad}"):
        overlapped(
            range(5),
            lambda item: failing("read", item),
            lambda item: failing("compute", item),
            lambda item, _: written.append(failing("write", item)),
        )
    assert written == sorted(set(written)) and bad not in written
    assert written[:bad] == list(range(bad))
