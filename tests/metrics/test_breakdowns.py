import math

import pandas as pd
import pytest

from superres.metrics.breakdowns import by_entropy, by_photograph, plane
from superres.metrics.catalog import TILE_FIGURES

MEANS = [figure.name for figure in TILE_FIGURES if figure.averaged]


def per_tile():
    """Tiles of two photographs; `model` gains 1 dB at weak blur, loses 2 at strong."""
    places = [("p0", "b.png", 0.1, 1.0), ("p1", "a.png", 0.2, 0.9), ("p2", "b.png", 1.0, 0.0)]
    rows = []
    for number, (name, source, blur, jpeg) in enumerate(places):
        place = {"id": name, "source": source, "entropy_blur": blur, "entropy_jpeg": jpeg}
        for contender, gain in (("model", 1.0 if blur < 0.5 else -2.0), ("bicubic", 0.0)):
            figures = dict.fromkeys(MEANS, 0.5) | {"psnr": 28.0 + number + gain}
            rows.append({**place, "contender": contender, **figures})
    return pd.DataFrame(rows)


def test_rows_of_photographs():
    found = by_photograph(per_tile())
    assert found["source"].tolist() == ["a.png", "a.png", "b.png", "b.png"]
    assert found["contender"].tolist() == ["model", "bicubic"] * 2
    assert found["tiles"].tolist() == [1, 1, 2, 2]
    assert found["psnr"].tolist() == [30.0, 29.0, 28.5, 29.0]
    assert found["psnr_gain"].tolist() == [1.0, 0.0, -0.5, 0.0]
    assert found["exact"].tolist() == [0, 0, 0, 0]


def test_only_what_was_measured_has_a_mean():
    rows = per_tile()
    rows.loc[rows["source"] == "a.png", "lpips"] = 0.25
    found = by_photograph(rows)
    assert found["lpips"].tolist() == [0.25, 0.25, 0.5, 0.5]
    assert "lpips" not in by_photograph(rows.drop(columns="lpips")).columns


def test_an_exact_tile_is_counted_and_left_out_of_the_mean():
    rows = per_tile()
    rows.loc[(rows["id"] == "p0") & (rows["contender"] == "model"), "psnr"] = math.inf
    found = by_photograph(rows).set_index(["source", "contender"]).loc[("b.png", "model")]
    assert (found["tiles"], found["exact"]) == (2, 1)
    assert found["psnr"] == pytest.approx(28.0) and found["psnr_gain"] == pytest.approx(-2)


def test_bins_of_entropies():
    found = by_entropy(per_tile(), ["blur", "jpeg", "noise"])
    model = found[found["contender"] == "model"]
    ends = model[["blur_from", "blur_to", "jpeg_from", "jpeg_to"]].to_numpy().tolist()
    assert ends == [[0, 0.25, 0.75, 1], [0.75, 1, 0, 0.25]]
    assert model["tiles"].tolist() == [2, 1]
    assert model["psnr_gain"].tolist() == [1.0, -2.0]


def test_without_corruptions_there_is_a_row_per_contender():
    found = by_entropy(per_tile(), [])
    assert found["contender"].tolist() == ["model", "bicubic"]
    assert found["tiles"].tolist() == [3, 3]


def test_the_plane_has_a_point_per_contender():
    figures = {"psnr": 28.0, "ssim": 0.7, "swd": 1.2, "fid": None, "kid": None, "lr_psnr": 40.0}
    found = plane({"model": figures, "tiles": 3}, ["model"])
    assert list(found.columns) == ["contender", "psnr", "ssim", "swd", "fid", "kid"]
    assert found.to_csv(index=False).splitlines()[1] == "model,28.0,0.7,1.2,,"
