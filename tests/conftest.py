"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from filelock import FileLock  # PyTorch brings it

from dists_weights import write_dists
from inception_weights import random_weights
from lpips_weights import write_weights
from superres.core.hashing import sha256_of
from superres.metrics import weights
from support import copy_project, run, tiny_params, write_photographs

MEASURING = ("test_memory.py", "test_duplicates.py", "test_durability.py")
"""Of memory and time: one worker runs them, one after the other."""
LONGEST = (
    "test_options_for_speed_and_memory_change_rounding_at_most",
    "test_torchruns_processes_end_with_it_and_go_on_in_one",
    "test_everything_on_a_cpu",
    "test_the_stages_run_without_dvc_and_training_in_pieces",
    "test_sampler_changes_nothing_but_sample_evaluate_report",
)
"""Of what is in no group: begun before other such tests, so that no worker waits for one at the
end. (Groups come first by themselves, those of most tests before the others.)"""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say what `pytest -n` gives to one worker: what measures, what a file or browser shares."""
    for item in items:
        fixtures = getattr(item, "_fixtureinfo").name2fixturedefs  # noqa: B009 - not public
        if item.path.name in MEASURING:
            item.add_marker(pytest.mark.xdist_group("measuring"))
        elif "driver" in fixtures:
            item.add_marker(pytest.mark.xdist_group("browser"))
        elif any(one.scope == "module" for found in fixtures.values() for one in found):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    items.sort(key=lambda item: getattr(item, "originalname", item.name) not in LONGEST)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse a pytest whose names of tests pytest-xdist cannot add a group to."""
    if hasattr(session.config, "workerinput"):
        grouped = [item for item in session.items if item.get_closest_marker("xdist_group")]
        if lost := [item.nodeid for item in grouped if "@" not in item.nodeid]:
            raise pytest.UsageError(f"pytest-xdist lost the groups of {len(lost)} tests: {lost[0]}")


@pytest.fixture
def fp32_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a processor without instructions for any other precision."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})


@pytest.fixture(autouse=True)
def no_weights_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep every test from the network and from weights that a developer has."""
    monkeypatch.setenv("SUPERRES_OFFLINE", "1")
    monkeypatch.setenv("SUPERRES_CACHE", str(tmp_path / "no-cache"))
    monkeypatch.delenv("SUPERRES_INCEPTION", raising=False)
    monkeypatch.delenv("SUPERRES_LPIPS", raising=False)
    monkeypatch.delenv("SUPERRES_DISTS", raising=False)


@pytest.fixture(scope="session")
def inception_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of random weights of the Inception network, the golden values' own."""
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(random_weights(), path)
    return path


@pytest.fixture(scope="session")
def lpips_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of random weights of LPIPS, the golden values' own."""
    return write_weights(tmp_path_factory.mktemp("lpips"))


def given(
    folder: Path, digits: dict[str, str], variable: str, monkeypatch: pytest.MonkeyPatch
) -> Path:
    for name in digits:
        monkeypatch.setitem(digits, name, sha256_of(folder / name)[:8])
    monkeypatch.setenv(variable, str(folder))
    return folder


@pytest.fixture
def lpips_given(lpips_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return that folder, given as a developer's, its checksums standing for the published ones."""
    return given(lpips_folder, weights.LPIPS_DIGITS, "SUPERRES_LPIPS", monkeypatch)


@pytest.fixture(scope="session")
def dists_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of random weights of DISTS, the golden values' own."""
    return write_dists(tmp_path_factory.mktemp("dists"))


@pytest.fixture
def dists_given(dists_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return that folder, given as a developer's, its checksums standing for the published ones."""
    return given(dists_folder, weights.DISTS_DIGITS, "SUPERRES_DISTS", monkeypatch)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project in which the whole tiny pipeline has run and is committed.

    Built once for all workers: tests read it, and what they write has names of its own.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return build_project(tmp_path_factory.mktemp("project"))
    folder = tmp_path_factory.getbasetemp().parent / "project"
    complete = folder.with_suffix(".complete")
    with FileLock(folder.with_suffix(".lock")):
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            build_project(folder)
            complete.touch()
    return folder


def build_project(folder: Path) -> Path:
    """Run the tiny pipeline in an empty folder, commit what git keeps of it, and return it."""
    copy_project(folder)
    (folder / "params.yaml").write_text(yaml.safe_dump(tiny_params(), sort_keys=False))
    write_photographs(folder / "photographs")
    run(folder, "dvc", "repro")
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "run")
    return folder
