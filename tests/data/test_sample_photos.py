import pytest
import skimage

from superres.core.errors import SuperresError
from superres.core.hashing import pixels_digest
from superres.core.images import read_image
from superres.core.params import load_section
from superres.data import sample_photos as photographs
from superres.data.config import DataParams
from superres.data.splitting import assign_splits
from support import ROOT


def test_nine_photographs_are_copied_byte_for_byte(tmp_path):
    assert photographs.copy_photographs(tmp_path / "photos") == {"photographs": 9}
    copies = sorted((tmp_path / "photos").iterdir())
    sources = photographs.bundled_files()
    assert [copy.name for copy in copies] == [source.name for source in sources]
    for copy, source in zip(copies, sources, strict=True):
        assert copy.read_bytes() == source.read_bytes()
        image = read_image(copy)
        assert min(image.shape[:2]) >= 300
        assert (image[..., 0] != image[..., 2]).any(), f"{copy.name} is not in colour"


def test_a_missing_photograph_is_named_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(skimage, "__file__", str(tmp_path / "skimage" / "__init__.py"))
    with pytest.raises(SuperresError, match=r"astronaut\.png: not found; .*scikit-image 0\.\d+"):
        photographs.copy_photographs(tmp_path / "photos")
    assert not list(tmp_path.iterdir())


def test_the_default_salt_holds_out_the_photographs_it_was_chosen_for():
    files = photographs.bundled_files()
    contents = [pixels_digest(read_image(file)) for file in files]
    split = load_section("data", DataParams, ROOT / "params.yaml").split
    splits = assign_splits(contents, split)
    held_out = {file.stem: s for file, s in zip(files, splits, strict=True) if s != "train"}
    assert held_out == {
        "chelsea": "test",
        "coffee": "test",
        "hubble_deep_field": "val",
    }
