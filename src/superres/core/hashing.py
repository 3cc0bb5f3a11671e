"""Digests of files and of pictures: names that follow from contents alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np


def sha256_of(path: str | Path) -> str:
    """Return a file's SHA-256 in hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(folder: str | Path) -> str:
    """Return 32 hexadecimal digits that follow from the names and contents of a folder's files."""
    files = sorted(path for path in Path(folder).iterdir() if path.is_file())
    return text_digest("\n".join(f"{sha256_of(path)} {path.name}" for path in files))


def pixels_digest(pixels: np.ndarray) -> str:
    """Return 32 hexadecimal digits that follow from an array's shape and values."""
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def text_digest(text: str) -> str:
    """Return 32 hexadecimal digits that follow from a text."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class PicturesDigest:
    """A digest of pictures, their names and what is done to them; the pictures pass one by one.

    It is made of a digest of each, which another process may compute.
    """

    def __init__(self, *settings: str) -> None:
        self._digest = hashlib.blake2b("\x1f".join(settings).encode(), digest_size=16)

    def add(self, picture: np.ndarray, name: str) -> None:
        """Take in the next picture, of any shape."""
        self.put(self.of(picture, name))

    @staticmethod
    def of(picture: np.ndarray, name: str) -> bytes:
        """Return the digest of one picture and its name, for `put`."""
        digest = hashlib.blake2b(f"{name}\x1f{picture.shape}\x1f".encode(), digest_size=16)
        digest.update(np.ascontiguousarray(picture).data)
        return digest.digest()

    def put(self, digest: bytes) -> None:
        """Take in the next picture by what `of` gave, here or in another process."""
        self._digest.update(digest)

    def hexdigest(self) -> str:
        """Return the digest of what has passed so far, 32 hexadecimal digits."""
        return self._digest.hexdigest()
