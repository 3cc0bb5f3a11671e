"""Killed, out of room, or spread over a cluster that loses a worker: the same bytes or an error."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from superres.core.parallel import DASK_VARIABLE
from support import ROOT, environment, tiny_params, write_photographs, write_yaml

STAGES = ("tile", "degrade")


def _stage(folder, name, **options):
    settings = {**environment(), "PYTHONPATH": str(ROOT / "src"), "SUPERRES_WORKERS": "2"}
    settings |= options.pop("env", {})
    command = [sys.executable, str(ROOT / "stages" / f"{name}.py")]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=settings, stdout=pipe, stderr=pipe, text=True, **options
    )


def _finish(folder, name, **options):
    process = _stage(folder, name, **options)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def _outs(folder):
    files = [p for p in sorted((folder / "data").rglob("*")) if p.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which both stages have run undisturbed."""
    folder = tmp_path_factory.mktemp("finished")
    _prepare(folder)
    for name in STAGES:
        assert _finish(folder, name)[0] == 0
    return folder


def _prepare(folder: Path):
    write_yaml(folder / "params.yaml", tiny_params())
    write_photographs(folder / "photographs", count=12, size=(320, 320))


@pytest.mark.parametrize("name", STAGES)
def test_killed_at_any_moment_the_next_run_writes_the_same(name, finished, tmp_path):
    _prepare(tmp_path)
    for before in STAGES[: STAGES.index(name)]:
        assert _finish(tmp_path, before)[0] == 0
    begin = time.monotonic()
    assert _finish(tmp_path, name)[0] == 0
    whole = time.monotonic() - begin
    out = tmp_path / "data" / ("tiles" if name == "tile" else "pairs")
    complete = _outs(tmp_path)
    killed = 0
    for share in (0.3, 0.6, 0.8, 0.9):
        process = _stage(tmp_path, name, start_new_session=True)
        time.sleep(share * whole)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
        left = {path.name for path in out.iterdir()} if out.exists() else set()
        assert not left or "manifest.csv" in left
    assert killed
    assert _finish(tmp_path, name)[0] == 0
    assert _outs(tmp_path) == complete
    expected = _outs(finished)
    assert {file: expected[file] for file in complete} == complete


@pytest.mark.parametrize("name", STAGES)
def test_no_room_is_an_error_and_leaves_nothing(name, tmp_path):
    _prepare(tmp_path)
    for before in STAGES[: STAGES.index(name)]:
        assert _finish(tmp_path, before)[0] == 0

    def limit():  # writing beyond it fails as on a full disk, once the signal is ignored
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    # one worker: joblib's processes need files of their own to start
    status, errors = _finish(tmp_path, name, preexec_fn=limit, env={"SUPERRES_WORKERS": "1"})
    out = "tiles" if name == "tile" else "pairs"
    assert status == 1
    assert f"{name}: error: data/{out}: cannot be written: File too large" in errors
    assert not (tmp_path / "data" / out).exists()
    assert not (tmp_path / "data" / f".{out}.partial").exists()


def test_a_cluster_that_loses_a_worker_writes_the_same(finished, tmp_path):
    distributed = pytest.importorskip("distributed")
    _prepare(tmp_path)
    settings = {**environment(), "PYTHONPATH": str(ROOT / "src")}
    with distributed.LocalCluster(n_workers=0, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        command = [sys.executable, "-m", "distributed.cli.dask_worker", address]
        command += ["--nthreads", "1", "--no-nanny", "--no-dashboard"]
        workers = [
            subprocess.Popen(command, cwd=tmp_path, env=settings, stderr=subprocess.DEVNULL)
            for _ in range(2)
        ]
        try:
            with distributed.Client(address, set_as_default=False) as client:
                client.wait_for_workers(2, timeout=60)
            for name in STAGES:
                process = _stage(tmp_path, name, env={DASK_VARIABLE: address})
                if name == "degrade":
                    time.sleep(2)
                    workers[0].kill()
                _, errors = process.communicate(timeout=120)
                assert process.returncode == 0, errors
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
    assert _outs(tmp_path) == _outs(finished)
