import hashlib

import numpy as np

from superres.core.hashing import (
    PicturesDigest,
    folder_digest,
    pixels_digest,
    sha256_of,
    text_digest,
)

NAMES = ("a", "b", "c")


def key(pictures, names=NAMES, settings=("weights", "preprocessing")):
    digest = PicturesDigest(*settings)
    for picture, name in zip(pictures, names, strict=True):
        digest.add(picture, name)
    return digest.hexdigest()


def test_digests_of_pictures_differ_with_pixels_shapes_names_and_settings():
    shots = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), dtype=np.uint8)
    assert key(shots) == key(iter(shots))
    other = shots.copy()
    other[2, 0, 0, 0] ^= 1
    keys = {
        key(shots),
        key(other),
        key(shots, ("c", "a", "x")),
        key(shots, settings=("weights", "other")),
        key(shots.reshape(3, 20, 80, 3)),
    }
    assert len(keys) == 5


def test_digests_do_not_depend_on_the_memory_layout():
    picture = np.random.default_rng(1).integers(0, 256, (6, 4, 3), dtype=np.uint8)
    laid_out_otherwise = picture.copy(order="F")
    assert pixels_digest(picture) == pixels_digest(laid_out_otherwise)
    assert key([picture], "a") == key([laid_out_otherwise], "a")
    assert pixels_digest(picture) != pixels_digest(picture.reshape(4, 6, 3))


def test_digests_that_stored_names_rely_on(tmp_path):
    """Names of tiles and of cached features are made of these; they must stay as they are."""
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    expected = hashlib.blake2b(b"(2, 2, 3)" + picture.tobytes(), digest_size=16).hexdigest()
    assert pixels_digest(picture) == expected
    text = b"n\x1f(2, 2, 3)\x1f" + picture.tobytes()
    one = hashlib.blake2b(text, digest_size=16).digest()
    assert key([picture], "n", ("s",)) == hashlib.blake2b(b"s" + one, digest_size=16).hexdigest()
    assert text_digest("a") == hashlib.blake2b(b"a", digest_size=16).hexdigest()
    (tmp_path / "file").write_bytes(b"content")
    assert sha256_of(tmp_path / "file") == hashlib.sha256(b"content").hexdigest()


def test_a_folders_digest_follows_from_names_and_every_byte(tmp_path):
    for name, content in (("a", b"1" * 300_000), ("b", b"2")):
        (tmp_path / name).write_bytes(content)
    first = folder_digest(tmp_path)
    (tmp_path / "a").write_bytes(b"1" * 150_000 + b"3" + b"1" * 149_999)
    changed = folder_digest(tmp_path)
    (tmp_path / "a").write_bytes(b"1" * 300_000)
    assert folder_digest(tmp_path) == first != changed
    (tmp_path / "b").rename(tmp_path / "c")
    assert folder_digest(tmp_path) not in (first, changed)
