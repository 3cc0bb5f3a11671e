"""Figures, inputs and sets as papers have them, with answers known beforehand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from superres.benchmark.benchmark_sets import KNOWN, VARIABLE, find_set
from superres.benchmark.comparison import as_csv, as_latex, as_markdown, measured, published
from superres.benchmark.papers_inputs import (
    Protocol,
    bicubic_luma,
    cut_to_multiple,
    enlarged,
    make_input,
    papers_protocol,
)
from superres.core.errors import SuperresError
from superres.degradation.chain import Degradation, Step
from superres.metrics.papers import is_grey, table_figures, table_luma


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_luma_is_that_of_rgb2ycbcr_rounded_and_grey_is_its_own() -> None:
    colours = np.array([[[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]]])
    picture = colours.astype(np.uint8)
    # 16 + 65.481, 128.553, 24.966; the three together 219.
    assert table_luma(picture, False).tolist() == [[235, 16, 81, 145, 41]]
    grey = np.repeat(noise(4, 5, 1), 3, axis=2)
    assert is_grey(grey) and not is_grey(picture)
    np.testing.assert_array_equal(table_luma(grey, True), grey[:, :, 0])


def test_figures_leave_the_border_out() -> None:
    original = noise(40, 40)
    restored = original.copy()
    restored[:3] ^= 255
    restored[20, 20] ^= 16  # 16 levels in one of 34 x 34 pixels
    psnr, ssim = table_figures(restored, original, 3)
    assert psnr == pytest.approx(10 * math.log10(255**2 * 34 * 34 / 16**2))
    assert 0.99 < ssim < 1
    assert table_figures(original, original, 3) == (math.inf, pytest.approx(1))
    with pytest.raises(SuperresError, match="40 x 40 pixels; SSIM needs 11 x 11 within a border"):
        table_figures(restored, original, 15)


def test_ssim_is_that_of_wangs_script() -> None:
    """Written out: an 11 x 11 Gaussian of 1.5, only where it fits, C1 = 6.5025, C2 = 58.5225."""
    one, other = noise(24, 20).astype(np.float64), noise(25, 20)[1:].astype(np.float64)
    line = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2

    def filtered(x: np.ndarray) -> np.ndarray:
        views = np.lib.stride_tricks.sliding_window_view(x, (11, 11))
        return np.einsum("ijkl,kl->ij", views, window)

    m1, m2 = filtered(one), filtered(other)
    v1, v2 = filtered(one**2) - m1**2, filtered(other**2) - m2**2
    cov = filtered(one * other) - m1 * m2
    above = (2 * m1 * m2 + 6.5025) * (2 * cov + 58.5225)
    wanted = (above / ((m1**2 + m2**2 + 6.5025) * (v1 + v2 + 58.5225))).mean()
    found = table_figures(one.astype(np.uint8), other.astype(np.uint8), 0)[1]
    assert found == pytest.approx(wanted, abs=1e-9)


def test_bicubic_of_papers_is_not_rounded_in_between() -> None:
    original = np.repeat(noise(24, 24, 1), 3, axis=2)
    luma = bicubic_luma(original, 2, grey=True)
    low, _ = make_input(original, papers_protocol(2), "x")
    assert low.shape == (12, 12, 3)
    of_input = enlarged(low, 2)[:, :, 0]
    difference = np.abs(luma.astype(int) - of_input)
    assert 0 < difference.max() <= 2
    flat = np.full((12, 12, 3), 77, np.uint8)
    assert (bicubic_luma(flat, 3, grey=True) == 77).all()


def test_originals_are_cut_at_the_right_and_below() -> None:
    picture = noise(11, 16, 3)
    np.testing.assert_array_equal(cut_to_multiple(picture, 3), picture[:9, :15])
    with pytest.raises(SuperresError, match="16 x 2 pixels for scale 3"):
        cut_to_multiple(picture[:2], 3)


def test_a_chain_at_named_entropies_is_another_protocol() -> None:
    chain = Degradation(2, 1.0, (Step("grain", "gaussian_noise"),), downsampling="bicubic")
    protocol = Protocol(chain, {"grain": 0.5})
    picture = noise(16, 16, 3)
    low, entropies = make_input(picture, protocol, "a")
    assert entropies == {"grain": 0.5}
    np.testing.assert_array_equal(low, make_input(picture, protocol, "a")[0])
    assert (low != make_input(picture, papers_protocol(2), "a")[0]).mean() > 0.5
    assert papers_protocol(2).classical and not protocol.classical
    assert not papers_protocol(2, border=8).classical
    assert not Protocol(Degradation(2, 1.0, ())).classical


def test_drawn_entropies_follow_from_the_seed_and_the_picture_s_name() -> None:
    chain = Degradation(2, 1.0, (Step("grain", "gaussian_noise", low=0.2, high=0.6),), seed=3)
    protocol = Protocol(chain, drawn=True)
    picture = noise(16, 16, 3)
    low, entropies = make_input(picture, protocol, "a")
    again = make_input(picture, protocol, "a")
    np.testing.assert_array_equal(low, again[0])
    assert entropies == again[1]
    others = [make_input(picture, protocol, name)[1]["grain"] for name in "bcdefgh"]
    assert len({entropies["grain"], *others}) == 8
    assert all(0.2 <= one <= 0.6 for one in others)
    other_seed = Protocol(replace(chain, seed=4), drawn=True)
    assert make_input(picture, other_seed, "a")[1] != entropies
    assert protocol.described()["entropies"] == "drawn"


def write(path: Path, size: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (200, 10, 10)).save(path)


def test_sets_are_found_in_the_layouts_they_come_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "BSD100/HR/a.png")
    write(tmp_path / "BSD100/LR_bicubic/X2/ax2.png", (4, 4))
    for kind in ("HR", "LR"):
        write(tmp_path / f"urban100/image_SRF_4/img_001_SRF_4_{kind}.png")
    write(tmp_path / "mine/b.png")
    write(tmp_path / "low/b.png")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    b100 = find_set("b100", 2)
    assert b100.name == "B100" and find_set("BSD100", 2) == b100
    assert [(one.name, one.low and one.low.name) for one in b100.subjects] == [("a", "ax2.png")]
    assert find_set("B100", 3).subjects[0].low is None  # to be made
    (urban,) = find_set("Urban100", 4).subjects
    assert (urban.name, urban.low and urban.low.stem) == ("img_001", "img_001_SRF_4_LR")
    mine = find_set(str(tmp_path / "mine"), 2)
    assert (mine.name, mine.subjects[0].low) == ("mine", None)
    assert find_set(str(tmp_path / "mine"), 2, tmp_path / "low").subjects[0].low is not None
    write(tmp_path / "mine/c.png")
    with pytest.raises(SuperresError, match=r"c\.png: no input of scale 2 for it"):
        find_set(str(tmp_path / "mine"), 2, tmp_path / "low")
    write(tmp_path / "mine/c.bmp")
    with pytest.raises(SuperresError, match=r"c\.png: c\.bmp has the same name"):
        find_set(str(tmp_path / "mine"), 2)
    with pytest.raises(SuperresError, match=r"no folder Set5\. To get it: Bevilacqua"):
        find_set("Set5", 2)
    with pytest.raises(SuperresError, match=r"Set15: neither a folder .*did you mean 'Set1?5?4?'"):
        find_set("Set15", 2)
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(SuperresError, match=f"{VARIABLE}, the folder of the sets, is not set"):
        find_set("Manga109", 2)


def test_every_published_line_is_whole_and_says_where_it_is_from() -> None:
    for scale in (2, 3, 4):
        lines = published(scale, list(KNOWN))
        assert {"bicubic", "SRCNN", "VDSR", "EDSR", "CARN", "IMDN", "SwinIR"} <= {
            line.method for line in lines
        }
        best = {"bicubic": 0, "SRCNN": 1, "VDSR": 2, "CARN": 3, "EDSR": 4, "SwinIR": 5}
        ranked = sorted(
            (best[one.method], one.figures["B100"]) for one in lines if one.method in best
        )
        assert ranked == sorted(ranked, key=lambda pair: pair[1][0]), scale
        assert all(
            line.sources and 0.5 < ssim < 1 and 20 < psnr < 45
            for line in lines
            for psnr, ssim in line.figures.values()
        )
    (bicubic, *_) = published(2, ["Set5", "B100"])
    assert bicubic.figures == {"Set5": (33.66, 0.9299), "B100": (29.56, 0.8431)}
    assert published(8, ["Set5"]) == [] and published(2, ["mine"]) == []


def test_tables_say_the_same_three_times() -> None:
    lines = published(2, ["Set5"]) + measured(
        {"Set5": {"estimate": (36.75, 0.95)}, "my_own": {}}, "a_model"
    )
    sets = ["Set5", "my_own"]
    markdown = as_markdown(lines, sets, 2)
    assert (
        "| x2 | Set5 | my_own |\n| --- | --- | --- |\n| bicubic | 33.66 / 0.9299 | - |" in markdown
    )
    assert "| a_model, estimate | 36.75 / 0.9500 | - |" in markdown
    assert "EDSR: Lim et al. 2017 (EDSR)." in markdown
    latex = as_latex(lines, sets, 2)
    assert r"$\times2$ & Set5 & my\_own \\" in latex
    assert r"a\_model, estimate & 36.75 / 0.9500 & - \\" in latex
    rows = as_csv(lines, sets, 2).splitlines()
    assert rows[0] == "method,scale,set,psnr,ssim,source"
    assert rows[-1] == '"a_model, estimate",2,Set5,36.7500,0.950000,measured'
    assert len(rows) == len(lines) + 1
