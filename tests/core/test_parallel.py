import time

import pytest

from superres.core import parallel
from superres.core.errors import SuperresError
from superres.core.parallel import DASK_VARIABLE, WORKERS_VARIABLE, in_order


def _square(x):
    if x == 70:
        raise ValueError("seventy")
    return x * x


@pytest.mark.parametrize("prefer", ["threads", "processes"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_results_come_in_order(monkeypatch, prefer, workers):
    monkeypatch.setenv(WORKERS_VARIABLE, workers)
    assert list(in_order(_square, range(50), prefer)) == [x * x for x in range(50)]


def test_items_are_taken_a_window_at_a_time(monkeypatch):
    monkeypatch.setenv(WORKERS_VARIABLE, "2")
    taken = []
    results = in_order(abs, (taken.append(x) or x for x in range(1000)), "threads")
    assert next(results) == 0
    assert len(taken) <= 8
    results.close()


def test_the_next_window_is_worked_on_before_the_last_result_is_taken(monkeypatch):
    monkeypatch.setenv(WORKERS_VARIABLE, "2")
    begun = set()
    results = in_order(lambda x: begun.add(x) or x, range(100), "threads")
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    deadline = time.monotonic() + 10
    while max(begun) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert 4 <= max(begun) < 8
    results.close()


def test_an_error_comes_through(monkeypatch):
    monkeypatch.setenv(WORKERS_VARIABLE, "2")
    with pytest.raises(ValueError, match="seventy"):
        list(in_order(_square, range(100), "threads"))


@pytest.fixture
def cluster(monkeypatch):
    """A Dask cluster of two threads in this process, named as a user names it."""
    distributed = pytest.importorskip("distributed")
    settings = {"n_workers": 2, "threads_per_worker": 1, "processes": False}
    with distributed.LocalCluster(**settings, dashboard_address=None) as running:
        monkeypatch.setenv(DASK_VARIABLE, running.scheduler_address)
        yield running


def test_a_cluster_does_the_same(cluster):
    for _ in range(5):  # one call after another, each with a client of its own
        assert list(in_order(_square, range(50), "processes")) == [x * x for x in range(50)]
    with pytest.raises(ValueError, match="seventy"):
        list(in_order(_square, range(100), "threads"))


def test_a_cluster_gets_a_window_of_items_at_a_time(cluster):
    taken = []
    results = in_order(abs, (taken.append(x) or x for x in range(1000)), "threads")
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    assert len(taken) <= 8 + 2
    results.close()


def test_a_cluster_without_workers_is_an_error(cluster, monkeypatch):
    monkeypatch.setattr(parallel, "CONNECT_SECONDS", 0.5)
    cluster.scale(0)
    with pytest.raises(
        SuperresError, match=f"{DASK_VARIABLE}: {cluster.scheduler_address}: .*worker"
    ):
        list(in_order(abs, [1], "threads"))


@pytest.mark.parametrize("value", ["0", "-2", "many", "1.5"])
def test_the_number_of_workers_is_checked(monkeypatch, value):
    monkeypatch.setenv(WORKERS_VARIABLE, value)
    with pytest.raises(SuperresError, match=f"{WORKERS_VARIABLE}: .*'{value}'"):
        list(in_order(abs, [1], "threads"))
