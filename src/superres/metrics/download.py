"""Fetching one large file over HTTP: with progress, resumption, a checksum, all or nothing."""

from __future__ import annotations

import http.client
import os
import socket
import threading
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from superres.core.errors import SuperresError
from superres.core.hashing import sha256_of
from superres.core.progress import progress_bar

CONNECT_S = 5.0
"""A machine without a network finds out after this many seconds."""
STALL_S = 30.0
"""A connection that delivers nothing for so long counts as interrupted."""

_BLOCK = 2**20  # bytes
_NOT_SATISFIABLE, _PARTIAL = 416, 206  # HTTP status


class DownloadError(SuperresError):
    """The file could not be fetched; the message says why and what is kept of it."""


def download(url: str, target: Path, digits: str) -> None:
    """Fetch a file; what an interrupted attempt left in `{target}.part` is gone on with.

    Cut off, it goes on by itself as long as each attempt brings more. The target appears only when
    its checksum is right.

    Args:
        url: http or https.
        target: where the file is to be; its folder is made.
        digits: what the file's SHA-256 begins with, hexadecimal.

    Raises:
        DownloadError: no network, refused, cut off, or another checksum, in which case nothing is
            kept.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _check_reachable(url)
        while True:
            before = _size(part)
            try:
                _fetch(url, part)
                break
            except (OSError, http.client.HTTPException) as error:
                if isinstance(error, urllib.error.HTTPError) or _size(part) <= before:
                    raise
    except (OSError, http.client.HTTPException) as error:
        kept = f"; {_size(part)} bytes are kept and gone on with next time" if _size(part) else ""
        raise DownloadError(f"{url}: {_reason(error)}{kept}") from error
    found = sha256_of(part)
    if not found.startswith(digits):
        part.unlink()
        raise DownloadError(
            f"{url}: the file has the SHA-256 {found[: len(digits)]}..., it should be {digits}...; "
            "it was deleted"
        )
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(target)


def _fetch(url: str, part: Path) -> None:
    """Append the rest of the file to `part`, or write it anew where the server sends it whole."""
    have = _size(part)
    headers = {"User-Agent": "superres"} | ({"Range": f"bytes={have}-"} if have else {})
    request = urllib.request.Request(url, headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=STALL_S)
    except urllib.error.HTTPError as error:
        if error.code == _NOT_SATISFIABLE and have:
            return  # nothing is missing; the checksum decides
        raise
    with response:
        begins = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        resumed = response.status == _PARTIAL and begins
        if response.status == _PARTIAL and not resumed:
            raise http.client.HTTPException("the server sent another part than was asked for")
        start = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        with (
            part.open("ab" if resumed else "wb") as file,
            progress_bar(
                total or 0, f"download {part.stem}", "B", unit_scale=True, initial=start
            ) as bar,
        ):
            while block := response.read(_BLOCK):
                file.write(block)
                bar.update(len(block))
    if total is not None and _size(part) != total:
        raise http.client.HTTPException(f"cut off after {_size(part)} of {total} bytes")


def _check_reachable(url: str) -> None:
    """Raise OSError within `CONNECT_S` where nothing answers: resolving a name has no time limit.

    Behind a proxy, the proxy resolves and connects; then there is nothing to find out here.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise OSError("not an http or https address")
    if parts.scheme in urllib.request.getproxies():
        return
    place = (parts.hostname, parts.port or {"http": 80, "https": 443}[parts.scheme])
    failed: list[OSError] = []

    def connect() -> None:
        try:
            socket.create_connection(place, timeout=CONNECT_S).close()
        except OSError as error:
            failed.append(error)

    attempt = threading.Thread(target=connect, daemon=True)
    attempt.start()
    attempt.join(CONNECT_S)
    if attempt.is_alive():
        raise TimeoutError(f"no answer within {CONNECT_S:g} seconds")
    if failed:
        raise failed[0]


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answers {error.code} {error.reason}"
    return " ".join(str(error).split()) or type(error).__name__
