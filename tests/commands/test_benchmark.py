"""`superres benchmark` from originals to tables, and on again where it ended."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from superres.benchmark import measured_sets
from superres.cli import main
from superres.degradation.imresize import imresize
from superres.metrics.papers import table_figures, table_luma
from superres.restoration.picture import from_array
from superres.restoration.restorer import Restorer, load
from support import ROOT, tiny_params, write_yaml


@pytest.fixture
def originals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a set of a colour picture of odd size and a grey one, found by the name Set5."""
    folder = tmp_path / "sets" / "Set5" / "HR"
    folder.mkdir(parents=True)
    rough = np.random.default_rng(0).normal(size=(45, 51, 3))
    levels = 127 + 300 * gaussian_filter(rough, (1.5, 1.5, 0))
    picture = levels.clip(0, 255).astype(np.uint8)
    Image.fromarray(picture).save(folder / "colour.png")
    Image.fromarray(picture[:40, :40, 1]).save(folder / "grey.png")
    monkeypatch.setenv("SUPERRES_BENCHMARKS", str(tmp_path / "sets"))
    return folder


def test_from_originals_to_tables(
    originals: Path, enlarger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["benchmark", "Set5", "--model", str(enlarger), "--out", str(out), "--device", "cpu"]
    assert main([*words, "--label", "ours"]) == 0
    said = capsys.readouterr().out
    assert "| bicubic | 33.66 / 0.9299 |" in said and "| IMDN | 38.00 / 0.9605 |" in said
    assert "| ours, estimate |" in said and "Set5: 2 pictures, inputs made" in said
    assert "note: Set5 of papers has 5 pictures" in said
    assert "note: the model was trained on inputs of downsampling 'area'" in said
    assert said.startswith((out / "x2.md").read_text().rstrip())
    assert "ours, estimate" in (out / "x2.tex").read_text()
    record = json.loads((out / "Set5-x2.json").read_text())
    assert set(record["pictures"]) == {"colour", "grey"} and record["inputs"] == "made"
    colour = np.asarray(Image.open(originals / "colour.png"))[:44, :50]
    low = np.asarray(Image.open(out / "Set5-x2/input/colour.png"))
    np.testing.assert_array_equal(low, imresize(colour, 1, 2, "bicubic"))
    for name, grey in (("colour", False), ("grey", True)):
        figures = record["pictures"][name]["figures"]
        assert set(figures) == {"bicubic", "bicubic of the inputs", "estimate"}
        pictures = (Image.open(out / f"Set5-x2/estimate/{name}.png"), originals / f"{name}.png")
        restored = np.asarray(pictures[0])
        original = np.asarray(Image.open(pictures[1]).convert("RGB"))[: len(restored)]
        original = original[:, : restored.shape[1]]
        assert restored.shape == (44, 50, 3) if name == "colour" else (40, 40, 3)
        one, other = table_luma(restored, grey), table_luma(original, grey)
        assert figures["estimate"] == pytest.approx(table_figures(one, other, 2))
        assert figures["bicubic"][0] == pytest.approx(figures["estimate"][0], abs=3)


def test_a_run_goes_on_where_it_ended(
    originals: Path, enlarger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["benchmark", "Set5", "--model", str(enlarger), "--out", str(tmp_path / "out")]
    words += ["--device", "cpu", "--samples", "1"]
    measure = measured_sets._measure
    asked: list[str] = []

    def one_only(subject, *others):  # type: ignore[no-untyped-def]
        if asked:
            raise KeyboardInterrupt
        asked.append(subject.name)
        return measure(subject, *others)

    monkeypatch.setattr(measured_sets, "_measure", one_only)
    assert main(words) == 130
    path = tmp_path / "out/Set5-x2.json"
    before = json.loads(path.read_text())["pictures"]
    assert list(before) == ["colour"]

    def counted(subject, *others):  # type: ignore[no-untyped-def]
        asked.append(subject.name)
        return measure(subject, *others)

    monkeypatch.setattr(measured_sets, "_measure", counted)
    assert main(words) == 0
    assert asked == ["colour", "grey"]
    record = json.loads(path.read_text())
    assert record["pictures"]["colour"] == before["colour"]
    assert set(before["colour"]["figures"]) == {
        *("bicubic", "bicubic of the inputs", "estimate", "sample")
    }
    assert main(words) == 0 and len(asked) == 2
    assert main([*words, "--seed", "1"]) == 0 and len(asked) == 4  # other samples
    Image.new("RGB", (48, 48), (9, 9, 9)).save(originals / "grey.png")
    assert main([*words, "--seed", "1"]) == 0 and asked[4:] == ["grey"]


def test_given_inputs_are_taken_and_must_belong(
    originals: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lows = originals.parent / "LR_bicubic/X3"
    lows.mkdir(parents=True)
    for name, (height, width) in {"colour": (45, 51), "grey": (39, 39)}.items():
        picture = np.asarray(Image.open(originals / f"{name}.png").convert("RGB"))
        low = imresize(picture[:height, :width], 1, 3, "bicubic")
        low[0, 0, 0] ^= 1
        Image.fromarray(low).save(lows / f"{name}x3.png")
    words = ["benchmark", "Set5", "--model", "none", "--scale", "3", "--out", str(tmp_path / "o")]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "inputs given\n  99.84 % of their values are as made here, the others 1 off" in said
    assert "made otherwise" not in said
    assert not (tmp_path / "o/Set5-x3/input").exists()
    Image.new("RGB", (13, 13), (0, 99, 0)).save(lows / "greyx3.png")
    assert main(words) == 0
    assert "note: these inputs are made otherwise" in capsys.readouterr().out
    Image.new("RGB", (14, 13), (0, 99, 0)).save(lows / "greyx3.png")
    assert main(words) == 1
    error = capsys.readouterr().err
    assert "grey.png: the input has 14 x 13 pixels, wanted 13 x 13" in error


def test_blind_protocols_degrade_by_a_params_file_at_named_entropies(
    originals: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = write_yaml(tmp_path / "params.yaml", tiny_params())
    out = tmp_path / "out"
    words = ["benchmark", str(originals), "--model", str(model), "--device", "cpu", "--out"]
    words += [str(out), "--degrade", str(params)]
    assert main([*words, "--entropy", "jpeg=0.8"]) == 0
    said = capsys.readouterr().out
    assert "IMDN" not in said and "| bicubic of the inputs, measured |" in said
    assert "trained on inputs" not in said
    strong = np.asarray(Image.open(out / "HR-x2/input/colour.png"))
    assert json.loads((out / "HR-x2.json").read_text())["of"]["entropies"] == {
        "blur": 0.0,
        "jpeg": 0.8,
    }
    assert main(words) == 0
    assert (strong != np.asarray(Image.open(out / "HR-x2/input/colour.png"))).mean() > 0.2


def test_drawn_entropies_are_recorded_and_a_blind_model_is_not_told_them(
    originals: Path, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, float]] = []
    run = Restorer.run

    def watched(self, picture, entropies, *others):  # type: ignore[no-untyped-def]
        told.append(dict(entropies))
        return run(self, picture, entropies, *others)

    monkeypatch.setattr(Restorer, "run", watched)
    out = tmp_path / "out"
    words = ["benchmark", str(originals), "--model", str(project / "models/best"), "--device"]
    words += ["cpu", "--out", str(out), "--degrade", str(project / "params.yaml")]
    words += ["--entropy", "drawn"]
    assert main(words) == 0
    record = json.loads((out / "HR-x2.json").read_text())
    assert record["of"]["entropies"] == "drawn"
    true = [one["entropies"] for one in record["pictures"].values()]
    assert told == true and true[0] != true[1] and set(true[0]) == {"blur", "jpeg"}
    assert main(words) == 0 and len(told) == 2  # nothing is measured twice
    assert main([*words, "--blind"]) == 0 and len(told) == 4
    assert told[2:] != true
    record = json.loads((out / "HR-x2.json").read_text())
    assert [one["entropies"] for one in record["pictures"].values()] == true
    estimated = load(project / "models/best", device="cpu")
    low = from_array(np.asarray(Image.open(out / "HR-x2/input/grey.png").convert("RGB")))
    assert told[3] == estimated.entropies(low, {}, "auto")


def test_the_chain_of_the_docs_degrades(originals: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs/benchmark.md").read_text(encoding="utf-8")
    block = page.partition("<!--second order-->\n```yaml\n")[2].partition("```")[0]
    (tmp_path / "chain.yaml").write_text(block)
    words = ["benchmark", str(originals), "--model", "none", "--out", str(tmp_path / "out")]
    assert main([*words, "--degrade", str(tmp_path / "chain.yaml"), "--entropy", "drawn"]) == 0
    record = json.loads((tmp_path / "out/HR-x2.json").read_text())
    names = ["blur", "resized", "noise", "jpeg", "blur_again", "grain", "ringing", "jpeg_again"]
    for one in record["pictures"].values():
        assert list(one["entropies"]) == names
        assert 15 < one["figures"]["bicubic of the inputs"][0] < 45


def test_without_an_estimator_a_blind_run_ends_before_anything_is_measured(
    originals: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(model, tmp_path / "alone" / "model")
    words = ["benchmark", str(originals), "--model", str(folder), "--out", str(tmp_path / "out")]
    assert main([*words, "--device", "cpu", "--blind"]) == 1
    assert "entropy" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--samples", "-1"], "--samples: must be at least 0, got -1"),
        (["--scale", "4"], "--scale: the model of .* enlarges 2 times"),
        (["--entropy", "jpeg=1"], "--entropy: belongs to a corruption of --degrade"),
        (["--degrade", "PARAMS", "--entropy", "jpg=1"], r"no corruption 'jpg', .*mean 'jpeg'"),
        (["--degrade", "PARAMS", "--entropy", "jpeg=2"], "value from 0 to 1, got 'jpeg=2'"),
        (["--degrade", "PARAMS", "--entropy", "drawn", "--entropy", "jpeg=1"], "stands alone"),
        (["--model", "none", "--scale", "2", "--blind"], "--blind: needs a model"),
        (["--model", "none"], "--scale: is needed with --model none"),
        (["--border", "-2"], "--border: must be at least 0"),
        (["--border", "30"], "colour.png: 50 x 44 pixels; SSIM needs 11 x 11 within a border"),
    ],
)
def test_what_is_wrong_is_said(
    originals: Path,
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    params = str(write_yaml(tmp_path / "params.yaml", tiny_params()))
    words = [params if word == "PARAMS" else word for word in words]
    base = ["benchmark", "Set5", "--model", str(model), "--out", str(tmp_path / "out")]
    assert main([*base, "--device", "cpu", *words]) == 1
    assert re.search(message, capsys.readouterr().err)
