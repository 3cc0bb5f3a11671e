import math

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from superres.core.images import read_image
from superres.evaluation.folders import Mismatch, measure_folders, pair_folders
from superres.metrics.dists import load_dists
from superres.metrics.lpips import load_lpips
from superres.metrics.pairwise import compare
from superres.metrics.perceptual import distances
from superres.metrics.weights import ALEXNET, COMPARING, LINEAR, VGG


def photograph(seed, size=(40, 48)):
    noise = np.random.default_rng(seed).normal(size=(*size, 3))
    smooth = gaussian_filter(noise, (1, 1, 0))
    return (127 + 50 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)


def save(picture, path):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(picture).save(path)


@pytest.fixture
def folders(tmp_path):
    """Six originals and blurred restorations of them in another format."""
    for number in range(6):
        original = photograph(number)
        save(original, tmp_path / "original" / f"写真 {number}.png")
        blurred = gaussian_filter(original, (0.8, 0.8, 0))
        save(blurred, tmp_path / "restored" / f"写真 {number}.bmp")
    (tmp_path / "original" / "notes.txt").write_text("no picture")
    return tmp_path / "restored", tmp_path / "original"


def test_pictures_are_measured_as_the_pipeline_measures_tiles(folders):
    measured = measure_folders(pair_folders(*folders, border_crop=2), 2)
    table = measured.per_image
    assert table["name"].tolist() == [f"写真 {number}" for number in range(6)]
    expected = compare(*(read_image(next(f.glob("写真 3*"))) for f in folders), border_crop=2)
    found = table.iloc[3].drop("name")
    assert found.to_dict() == pytest.approx(expected, nan_ok=True)
    figures = measured.summary["figures"]
    assert figures["psnr"] == pytest.approx(table["psnr"].mean())
    assert "lr_psnr" not in figures  # what made the inputs is not known
    assert figures["swd"] > 1
    low, high = measured.summary["intervals"]["psnr"]
    assert low < figures["psnr"] < high
    assert measured.summary["measured"]["border_crop_px"] == 2


def test_without_weights_fid_is_null_with_a_note(folders):
    summary = measure_folders(pair_folders(*folders, 0), 0).summary
    assert summary["figures"]["fid"] is None and summary["measured"]["inception"] == {}
    assert "By hand: get https://" in summary["notes"][0]["text"]


def test_with_weights_folders_have_fid_whatever_the_sizes(
    folders, inception_file, monkeypatch, tmp_path
):
    monkeypatch.setenv("SUPERRES_INCEPTION", str(inception_file))
    for folder in folders:
        save(photograph(9, (33, 20)), folder / "small.png")
    summary = measure_folders(pair_folders(*folders, 0), 0).summary
    assert summary["figures"]["fid"] > 1 and 0 <= summary["figures"]["precision"] <= 1
    assert summary["figures"]["swd"] is None
    assert "SWD is not computed: the pictures differ in size." in [
        note["text"] for note in summary["notes"]
    ]
    same = measure_folders(pair_folders(folders[1], folders[1], 0), 0).summary["figures"]
    assert same["fid"] == pytest.approx(0, abs=1e-6)
    assert same["psnr"] is None and same["ssim"] == 1  # infinite in code, null in the file


def test_with_its_weights_folders_have_lpips(folders, lpips_given):
    for folder in folders:
        save(photograph(9, (33, 47)), folder / "exact.png")
    measured = measure_folders(pair_folders(*folders, 0), 0)
    table = measured.per_image.set_index("name")["lpips"]
    assert table["exact"] == 0 and (table.drop("exact") > 0.001).all()
    summary = measured.summary
    assert summary["figures"]["lpips"] == pytest.approx(table.mean())
    low, high = summary["intervals"]["lpips"]
    assert low < table.mean() < high
    assert summary["measured"]["lpips"].startswith("version 0.1")
    network = load_lpips(lpips_given / ALEXNET, lpips_given / LINEAR)
    pair = tuple(read_image(next(f.glob("写真 3*"))) for f in folders)
    assert list(distances(network, [pair])) == pytest.approx([table["写真 3"]], abs=1e-6)


def test_with_their_weights_folders_have_lpips_and_dists_side_by_side(
    folders, lpips_given, dists_given
):
    measured = measure_folders(pair_folders(*folders, 0), 0)
    table = measured.per_image.set_index("name")
    assert list(table.columns)[-2:] == ["lpips", "dists"]
    assert measured.summary["figures"]["dists"] == pytest.approx(table["dists"].mean())
    assert measured.summary["measured"]["dists"].startswith("vgg16-397923af.pth and weights.pt")
    network = load_dists(dists_given / VGG, dists_given / COMPARING)
    pair = tuple(read_image(next(f.glob("写真 3*"))) for f in folders)
    assert distances(network, [pair]) == pytest.approx([table.loc["写真 3", "dists"]], abs=1e-6)


def test_without_their_weights_neither_is_spoken_of(folders):
    measured = measure_folders(pair_folders(*folders, 0), 0)
    for name in ("lpips", "dists"):
        assert name not in measured.per_image.columns
        for part in ("figures", "intervals", "measured"):
            assert name not in measured.summary[part]
        assert name not in {note["metric"] for note in measured.summary["notes"]}


def test_a_picture_too_small_for_lpips_is_a_note(folders, lpips_given):
    for folder in folders:
        save(photograph(9, (30, 50)), folder / "small.png")
    measured = measure_folders(pair_folders(*folders, 0), 0)
    assert "lpips" not in measured.per_image.columns
    (text,) = (n["text"] for n in measured.summary["notes"] if n["metric"] == "lpips")
    assert text == "LPIPS is not computed: a picture is 30 pixels high or wide, it needs 31."


def test_one_small_pair(tmp_path):
    for folder in ("restored", "original"):
        save(photograph(1, (13, 15)), tmp_path / folder / "a.png")
    pairs = pair_folders(tmp_path / "restored", tmp_path / "original", 0)
    measured = measure_folders(pairs, 0)
    assert math.isinf(measured.per_image["psnr"].iloc[0])
    texts = " ".join(note["text"] for note in measured.summary["notes"])
    assert "smaller than 16 pixels" in texts and "one picture has no distribution" in texts


def test_every_mismatch_is_listed(folders):
    restored, original = folders
    save(photograph(7), restored / "more.png")
    (restored / "写真 0.bmp").unlink()
    save(photograph(1, (20, 24)), restored / "写真 1.bmp")
    (restored / "写真 2.bmp").write_bytes(b"broken")
    save(photograph(8, (12, 12)), restored / "tiny.png")
    save(photograph(8, (12, 12)), original / "tiny.png")
    with pytest.raises(Mismatch) as caught:
        pair_folders(restored, original, 1)
    said = str(caught.value).splitlines()
    assert f"{restored / 'more.png'}: no picture 'more' in {original}" in said
    assert f"{original / '写真 0.png'}: no picture '写真 0' in {restored}" in said
    assert f"{restored / '写真 1.bmp'}: 24 x 20 pixels, its original is 48 x 40" in said
    assert any("写真 2.bmp: not an image" in line for line in said)
    assert any("tiny.png: 12 x 12 pixels; SSIM needs 11 x 11" in line for line in said)
    assert said[-1] == "mismatches: 5; nothing was measured"


def test_folders_that_are_none_empty_or_ambiguous(folders, tmp_path):
    restored, original = folders
    with pytest.raises(Mismatch, match="absent: not a folder"):
        pair_folders(tmp_path / "absent", original, 0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(Mismatch, match="empty: holds no pictures"):
        pair_folders(restored, tmp_path / "empty", 0)
    save(photograph(0), original / "写真 0.bmp")
    with pytest.raises(Mismatch, match=r"写真 0\.png: 写真 0\.bmp has the same name"):
        pair_folders(restored, original, 0)
