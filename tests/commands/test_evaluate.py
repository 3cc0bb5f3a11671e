import json

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
