import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from superres.cli import main


@pytest.fixture
def folders(tmp_path):
    """Four originals, and restorations that are 5 levels too bright."""
    generator = np.random.default_rng(0)
    for number in range(4):
        original = generator.integers(0, 250, (24, 32, 3), dtype=np.uint8)
        for name, picture in (("original", original), ("restored", original + np.uint8(5))):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(picture).save(tmp_path / name / f"{number}.png")
    return str(tmp_path / "restored"), str(tmp_path / "original")


def test_the_command_prints_and_writes(folders, tmp_path, capsys):
    csv, summary = tmp_path / "out" / "each.csv", tmp_path / "out" / "all.json"
    assert main(["evaluate", *folders, "--csv", str(csv), "--json", str(summary)]) == 0
    said = capsys.readouterr().out
    assert "4 pictures" in said and "psnr         34.1514 dB  95 %: 34.1514 to 34.1514" in said
    assert "color_shift  5.0000 levels" in said
    assert "fid          -" in said and "note: FID, KID" in said
    figures = json.loads(summary.read_text())["figures"]
    assert figures["psnr"] == pytest.approx(20 * np.log10(255 / 5)) and figures["fid"] is None
    lines = csv.read_text().splitlines()
    assert lines[0].startswith("name,psnr,psnr_y,ssim,ssim_y,color_shift") and len(lines) == 5


def test_lpips_is_printed_where_it_is_given(tmp_path, capsys, lpips_given):
    for name, level in (("original", 100), ("restored", 120)):
        (tmp_path / name).mkdir()
        Image.new("RGB", (40, 36), (level, 50, 0)).save(tmp_path / name / "a.png")
    csv = tmp_path / "each.csv"
    arguments = [str(tmp_path / "restored"), str(tmp_path / "original"), "--csv", str(csv)]
    assert main(["evaluate", *arguments]) == 0
    header, row = csv.read_text().splitlines()
    assert header.endswith(",lpips") and float(row.split(",")[-1]) > 0
    assert f"\nlpips        {float(row.split(',')[-1]):.4f} " in capsys.readouterr().out


def test_mismatches_are_listed_and_end_it(folders, tmp_path, capsys):
    (tmp_path / "restored" / "1.png").unlink()
    summary = tmp_path / "all.json"
    assert main(["evaluate", *folders, "--json", str(summary)]) == 1
    said = capsys.readouterr()
    assert f"{tmp_path / 'original' / '1.png'}: no picture '1' in" in said.err
    assert "mismatches: 1; nothing was measured" in said.err
    assert said.out == "" and not summary.exists()


def test_wrong_arguments(folders, tmp_path, capsys):
    assert main(["evaluate", *folders, "--border-crop", "-1"]) == 1
    assert "--border-crop: must be at least 0, got -1" in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path / "absent"), folders[1]]) == 1
    assert "absent: not a folder" in capsys.readouterr().err


def renamed(folder, pattern):
    for path in sorted(Path(folder).iterdir()):
        path.rename(path.with_stem(pattern.format(name=path.stem)))


def test_names_with_a_suffix_pair_by_the_rule_that_is_told(folders, tmp_path, capsys):
    renamed(folders[0], "{name}_out")
    summary = tmp_path / "all.json"
    assert main(["evaluate", *folders, "--json", str(summary)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("paired by name: restored '{name}_out', original '{name}'\n4 pictures")
    measured = json.loads(summary.read_text())["measured"]
    assert measured["names"] == "restored '{name}_out', original '{name}'"
    renamed(folders[1], "{name}x1")
    words = ["--pattern", "{name}_out", "--original-pattern", "{name}x1"]
    assert main(["evaluate", *folders, *words]) == 0
    assert main(["evaluate", *folders, "--suffix", "_SR"]) == 1
    assert "none of 4 pictures is called like '{name}_SR'" in capsys.readouterr().err


def test_one_of_several_samples_is_measured_where_it_is_named(folders, capsys):
    for path in list(Path(folders[0]).iterdir()):
        path.rename(path.with_stem(f"{path.stem}-1"))
        Image.new("RGB", (32, 24)).save(path.with_stem(f"{path.stem}-2"))
    assert main(["evaluate", *folders]) == 1
    said = capsys.readouterr().err
    assert said.endswith(
        "nothing was measured; each original has a picture by --pattern '{name}-1'\n"
    )
    assert main(["evaluate", *folders, "--suffix=-1"]) == 0
    said = capsys.readouterr().out
    assert "4 pictures are called otherwise and left out" in said and "psnr         34.15" in said


def test_originals_that_are_no_multiple_of_the_scale(folders, tmp_path, capsys):
    generator = np.random.default_rng(1)
    for path in Path(folders[1]).iterdir():
        odd = generator.integers(0, 255, (25, 33, 3), dtype=np.uint8)
        odd[:24, :32] = np.asarray(Image.open(path))
        Image.fromarray(odd).save(path)
    assert main(["evaluate", *folders]) == 1
    assert "32 x 24 pixels, its original is 33 x 25; --modcrop 2" in capsys.readouterr().err
    summary = tmp_path / "all.json"
    assert main(["evaluate", *folders, "--modcrop", "2", "--json", str(summary)]) == 0
    found = json.loads(summary.read_text())
    assert found["figures"]["psnr"] == pytest.approx(20 * np.log10(255 / 5))
    assert found["measured"]["modcrop_px"] == 2
    assert main(["evaluate", *folders, "--modcrop", "0"]) == 1


def test_luma_as_matlab_has_it_is_said(folders, tmp_path):
    files = [tmp_path / "exact.json", tmp_path / "matlab.json"]
    for file, words in zip(files, ([], ["--matlab"]), strict=True):
        assert main(["evaluate", *folders, "--json", str(file), *words]) == 0
    exact, matlab = (json.loads(file.read_text()) for file in files)
    assert exact["figures"]["psnr_y"] != matlab["figures"]["psnr_y"]
    assert exact["figures"]["psnr"] == matlab["figures"]["psnr"]
    assert matlab["measured"]["psnr_y"].endswith("luma rounded to 8 bits, as by MATLAB")
    assert "MATLAB" not in exact["measured"]["psnr_y"] + matlab["measured"]["psnr"]


@pytest.mark.parametrize("nested", [False, True])
def test_several_sets_have_a_table_and_a_mean(folders, tmp_path, capsys, nested):
    """Each set counts alike, whatever its number of pictures."""
    generator = np.random.default_rng(2)
    sets = {}
    for name, count, error in (("Set5", 2, 5), ("Urban", 4, 9)):
        sets[name] = [tmp_path / kind / name for kind in ("sr", "hr")]
        for folder in sets[name]:
            folder.mkdir(parents=True)
        for number in range(count):
            original = generator.integers(0, 240, (24, 32, 3), dtype=np.uint8)
            for folder, picture in zip(
                sets[name], (original + np.uint8(error), original), strict=True
            ):
                Image.fromarray(picture).save(folder / f"{number}.png")
    words = [str(folder) for pair in sets.values() for folder in pair]
    if nested:
        words = [str(tmp_path / kind) for kind in ("sr", "hr")]
    csv, summary = tmp_path / "each.csv", tmp_path / "all.json"
    assert main(["evaluate", *words, "--csv", str(csv), "--json", str(summary)]) == 0
    wanted = {"Set5": 20 * np.log10(255 / 5), "Urban": 20 * np.log10(255 / 9)}
    found = json.loads(summary.read_text())
    assert {name: one["figures"]["psnr"] for name, one in found["sets"].items()} == pytest.approx(
        wanted
    )
    assert found["mean"]["psnr"] == pytest.approx(sum(wanted.values()) / 2)
    rows = csv.read_text().splitlines()
    assert (
        rows[0].startswith("set,name,psnr") and len(rows) == 7 and rows[-1].startswith("Urban,3,")
    )
    table = [line.split() for line in capsys.readouterr().out.splitlines()[-4:]]
    assert table[0][:3] == ["set", "pictures", "psnr"] and table[1][:3] == ["Set5", "2", "34.1514"]
    assert table[3][:5] == ["mean", "of", "sets", "6", f"{sum(wanted.values()) / 2:.4f}"]


def test_folders_that_are_no_pairs(folders, tmp_path, capsys):
    assert main(["evaluate", *folders, folders[0]]) == 1
    assert "folders come in pairs, RESTORED_DIR ORIGINAL_DIR, got 3" in capsys.readouterr().err
    for name in ("sr/a", "hr/b"):
        (tmp_path / name).mkdir(parents=True)
    assert main(["evaluate", str(tmp_path / "sr"), str(tmp_path / "hr")]) == 1
    assert "only one of them has a, b" in capsys.readouterr().err
    assert main(["evaluate", *folders, "--suffix", "a", "--pattern", "{name}"]) == 1
