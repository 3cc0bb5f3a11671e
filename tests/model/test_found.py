"""Which model is taken where none is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from superres.cli import main
from superres.core.errors import SuperresError
from superres.model import found
from superres.model.found import described, find_model, known_models
from superres.restoration.restorer import load
from tiny_trial import random_model


@pytest.fixture
def places(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Return an empty working directory beside a package whose box is made of a tiny model."""
    monkeypatch.setattr(found, "BOX", random_model(tmp_path_factory.mktemp("box")))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_in_an_empty_folder_it_is_the_box(places: Path) -> None:
    assert find_model().folder == found.BOX
    assert described(find_model()).startswith("in the box: 2x; entropies blur, jpeg")
    assert load(device="cpu").corruptions == ["blur", "jpeg"]


def test_a_checkout_s_own_model_comes_first_and_a_given_one_before_it(places: Path) -> None:
    shutil.copytree(found.BOX, places / "models/best")
    assert find_model().where == "checkout"
    shutil.copytree(found.BOX, places / "mine")
    assert find_model("mine")[:2] == (Path("mine"), "given")


def test_a_damaged_model_of_the_checkout_is_an_error_and_not_passed_over(places: Path) -> None:
    (places / "models/best").mkdir(parents=True)
    with pytest.raises(SuperresError, match="models/best: not a model folder"):
        find_model()


def test_without_any_model_the_message_says_what_to_do(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(found, "BOX", places / "nothing")
    with pytest.raises(SuperresError, match=r"dvc repro"):
        find_model()


def test_models_lists_all_and_marks_the_one_that_is_taken(
    places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("shelf/a", "shelf/deep/b", "models/best"):
        shutil.copytree(found.BOX, places / name)
    assert [each.where for each in known_models(["shelf"])] == ["given", "given", "checkout", "box"]
    assert main(["models", "shelf"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:2] for line in lines if line[2:3] != " "][:-1] == ["  ", "  ", "* ", "  "]
    assert "shelf/deep/b: 2x" in lines[2]
    assert main(["models", "nowhere"]) == 1
    assert "nowhere: not a model folder" in capsys.readouterr().err


def test_restoring_says_which_model_it_took(
    places: Path, capsys: pytest.CaptureFixture[str], photo_file: Path
) -> None:
    assert main(["restore", str(photo_file), "out.png", "--steps", "2", "--device", "cpu"]) == 0
    assert capsys.readouterr().out.startswith("model: in the box: 2x")


@pytest.fixture
def photo_file(tmp_path: Path) -> Path:
    """Return a small picture."""
    Image.new("RGB", (12, 10), (90, 120, 40)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"
