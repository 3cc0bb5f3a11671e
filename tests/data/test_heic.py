"""HEIC among photographs, and among pictures to be measured."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from superres.core.errors import SuperresError
from superres.data.tiling import tile_photographs
from superres.evaluation.folders import Mismatch, pair_folders


def heic(path: Path, seed: int) -> Path:
    """Write noise of 64 x 96 pixels."""
    pillow_heif = pytest.importorskip("pillow_heif")
    coarse = np.random.default_rng(seed).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((96, 64), Image.Resampling.NEAREST)
    path.parent.mkdir(parents=True, exist_ok=True)
    pillow_heif.from_pillow(image).save(path, quality=95)
    return path


def test_photographs_are_read_and_tiled(photos: Path, tmp_path: Path, data_params: Any) -> None:
    heic(photos / "telephone.HEIC", 1)
    heic(photos / "really.heic", 2).rename(photos / "named.jpg")
    tile_photographs(data_params(min_sharpness=0.0), tmp_path / "tiles", tmp_path / "p.csv")
    table = pd.read_csv(tmp_path / "p.csv", index_col="source")
    for name in ("telephone.HEIC", "named.jpg"):
        assert table.loc[name, ["status", "width", "height"]].tolist() == ["used", 96, 64]
        assert table.loc[name, "tiles"] > 0


def test_without_the_library_they_are_unreadable_and_counted(
    photos: Path, tmp_path: Path, data_params: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    heic(photos / "a.heic", 1)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    tile_photographs(data_params(min_sharpness=0.0), tmp_path / "tiles", tmp_path / "p.csv")
    reasons = pd.read_csv(tmp_path / "p.csv", index_col="source")["reason"]
    needed = "unreadable: HEIC needs pillow-heif: pip install 'superres[heif]'"
    assert reasons["a.heic"] == needed
    for name in "bcd":
        (photos / f"{name}.heic").write_bytes((photos / "a.heic").read_bytes())
    with pytest.raises(SuperresError, match="files are unreadable, more than") as caught:
        tile_photographs(data_params(), tmp_path / "tiles", tmp_path / "p.csv")
    assert str(caught.value).count(needed) == 4


def test_evaluation_reads_them_or_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heic(tmp_path / "restored" / "a.heic", 1)
    original = heic(tmp_path / "original" / "a.heic", 1)
    pairs = pair_folders(tmp_path / "restored", tmp_path / "original", 0)
    assert [(pair.name, pair.original) for pair in pairs] == [("a", original)]
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(Mismatch, match=r"a\.heic: HEIC needs pillow-heif: pip install"):
        pair_folders(tmp_path / "restored", tmp_path / "original", 0)
