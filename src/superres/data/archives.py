"""Members of zip and tar archives, read at random and never unpacked to the disk.

A member is found once, as an offset and a size; any thread or process then reads it with one seek.
Tar archives must therefore be uncompressed: pictures hardly shrink, and a compressed stream can
only be read from its beginning. Names of members are labels here and open no file.
"""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from superres.core.errors import SuperresError

MAX_MEMBER_BYTES = 2**30
"""A member is held in memory while it is decoded; larger ones are left out."""
_ENCRYPTED = 0x1
_LOCAL_HEADER = 30
"""Bytes of a zip member's header before its name (APPNOTE.TXT 4.3.7)."""


class Member(NamedTuple):
    """Where the bytes of one file of an archive are, or why they cannot be used."""

    name: str
    offset: int = 0
    """Of a zip's local header or of a tar's data."""
    packed: int = 0
    """Bytes in the archive."""
    size: int = 0
    """Bytes once inflated, as the archive says."""
    method: str = "tar"
    """`tar`, `stored` or `deflated`."""
    checksum: int = 0
    """CRC-32 of a zip's member."""
    reason: str = ""


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or a tar archive, by its content."""
    return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)


def members(path: Path) -> list[Member]:
    """Return every file and link of an archive, in its order; folders are passed over.

    Raises:
        SuperresError: damaged, or a compressed tar.
    """
    try:
        found = _zip_members(path) if zipfile.is_zipfile(path) else _tar_members(path)
    except (OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise SuperresError(f"data.source: {path}: damaged archive: {error}") from error
    last = {member.name: place for place, member in enumerate(found)}
    return [
        member
        if last[member.name] == place
        else _useless(member.name, "replaced by a later member of that name")
        for place, member in enumerate(found)
    ]


def read_member(path: Path, member: Member) -> bytes:
    """Return the bytes of a member, never more than the archive says that it has.

    Raises:
        ValueError: cut off, other than its checksum says, or larger than it claims.
    """
    with path.open("rb") as file:
        file.seek(member.offset)
        if member.method == "tar":
            content = file.read(member.size)
        else:
            header = file.read(_LOCAL_HEADER)
            name, extra = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
            file.seek(name + extra, 1)
            content = file.read(member.packed)
    if member.method == "deflated":
        try:
            content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, member.size + 1)
        except zlib.error as error:
            raise ValueError(f"damaged in the archive: {error}") from error
    if len(content) != member.size:
        raise ValueError(f"damaged in the archive: not the {member.size} bytes it says")
    if member.method != "tar" and zlib.crc32(content) != member.checksum:
        raise ValueError("damaged in the archive: wrong checksum")
    return content


def _zip_members(path: Path) -> list[Member]:
    methods = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}
    with zipfile.ZipFile(path) as archive:
        found = []
        for info in archive.infolist():
            if info.is_dir():
                continue
            method = methods.get(info.compress_type, "")
            reason = _fault(info.filename, info.file_size)
            if info.flag_bits & _ENCRYPTED:
                reason = "encrypted in the archive"
            elif not method:
                reason = f"compressed by method {info.compress_type}; deflate can be read"
            if reason:
                found.append(_useless(info.filename, reason))
                continue
            place = (info.header_offset, info.compress_size, info.file_size)
            found.append(Member(info.filename, *place, method, info.CRC))
    return found


def _tar_members(path: Path) -> list[Member]:
    try:
        archive = tarfile.open(path, "r:")  # noqa: SIM115 - closed by the block below
    except tarfile.ReadError as error:
        raise SuperresError(
            f"data.source: {path}: a compressed tar cannot be read at random; "
            f"decompress it to .tar, or make a zip ({error})"
        ) from error
    with archive:
        found = []
        for info in archive:
            if info.isdir():
                continue
            reason = _fault(info.name, info.size)
            if not info.isreg():
                reason = "a link or device in the archive"
            elif info.issparse():
                reason = "stored as a sparse file in the archive"
            if reason:
                found.append(_useless(info.name, reason))
            else:
                found.append(Member(info.name, info.offset_data, info.size, info.size))
    return found


def _fault(name: str, size: int) -> str:
    if name.startswith(("/", "\\")) or ".." in PurePosixPath(name.replace("\\", "/")).parts:
        return "its name leads out of the archive"
    if size > MAX_MEMBER_BYTES:
        return f"{size} bytes, more than the {MAX_MEMBER_BYTES} that a member may have"
    return ""


def _useless(name: str, reason: str) -> Member:
    return Member(name, reason=reason)
