"""Photographs at addresses (`s3://`, `gs://`, `https://`), read through fsspec, which DVC brings.

A file is read into memory when its turn comes, and nothing is written to the disk. What a server
says of one file (it is not there, it is forbidden) is that file's fate. That no answer comes, or
another one, ends the run: the next one might find the file.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from superres.core.errors import SuperresError

MAX_FILE_BYTES = 2**30
"""A file is held in memory while it is decoded; larger ones are left out."""
CONNECT_SECONDS = 10
SILENCE_SECONDS = 30
"""That a server may take to go on with an answer."""
LIMIT_SECONDS = 120
"""For an answer on what is at an address, with what a library tries again, and for one file."""
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
"""The project's extra that brings what reads a protocol; DVC itself brings that of the web."""
WEB = ("http", "https")
FORBIDDEN = (401, 403)
ABSENT, GONE = 404, 410

Result = TypeVar("Result")


class Lacking(Exception):  # noqa: N818 - what the file is
    """A file that a server does not hand out, and why."""


class Listed(NamedTuple):
    """A file at an address."""

    name: str
    """As manifests call it: below the address of a folder, or a line of a list."""
    address: str


def is_address(source: object) -> bool:
    """Whether a `data.source` or a line of a list names a protocol."""
    protocol, separator, rest = str(source).partition("://")
    return bool(separator and rest) and protocol.isalnum()


def files_at(address: str) -> list[Listed]:
    """Return all files below the address of a folder, or those that a text file there lists.

    Raises:
        SuperresError: no such address, no access to it, no answer, neither a folder nor a list.
    """
    try:
        info = _answer(address, lambda fs, path: fs.info(path))
        if info["type"] == "directory":
            return _below(address)
        return _lines(address, read(address))
    except Lacking as error:
        raise SuperresError(f"data.source: {address}: {error}") from error


def read(address: str) -> bytes:
    """Return the content of a file.

    Raises:
        Lacking: it is not there, is forbidden or is larger than `MAX_FILE_BYTES`.
        SuperresError: no answer.
    """

    def whole(fs: Any, path: str) -> bytes:
        with fs.open(path, "rb") as file:
            return file.read(MAX_FILE_BYTES + 1)

    content = _answer(address, whole)
    if len(content) > MAX_FILE_BYTES:
        raise Lacking(f"more than the {MAX_FILE_BYTES} bytes that a file may have")
    return content


def _below(address: str) -> list[Listed]:
    def names(fs: Any, path: str) -> list[str]:
        root = path.rstrip("/") + "/"
        return [file.removeprefix(root) for file in fs.find(path)]

    # a large bucket takes many answers, each of them in its time
    found = _answer(address, names, limited=False)
    root = address.rstrip("/")
    return [Listed(name, f"{root}/{name}") for name in found if name and not name.endswith("/")]


def _lines(address: str, content: bytes) -> list[Listed]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Lacking(
            "neither a folder nor a text file of addresses (archives are read from a disk)"
        ) from error
    if text.lstrip().startswith("<"):
        raise Lacking("a page of the web; wanted a folder, or a text file of addresses")
    parent = address.rpartition("/")[0]
    lines = filter(None, (line.strip() for line in text.splitlines()))
    return [Listed(line, line if is_address(line) else f"{parent}/{line}") for line in lines]


def _answer(address: str, ask: Callable[[Any, str], Result], limited: bool = True) -> Result:
    """Return what `ask` makes of the file system at an address and the path in it, in time.

    Raises:
        Lacking: not there, or forbidden.
        SuperresError: no answer.
    """
    try:
        return _in_time(lambda: ask(*_file_system(address)), LIMIT_SECONDS if limited else None)
    except SuperresError:
        raise
    except Exception as error:  # each protocol's library has its own
        first = _first(error) if urlsplit(address).scheme in WEB else error
        if reason := _refusal(first):
            raise Lacking(reason) from error
        reason = f"no answer: {_one_line(first)}"
        if isinstance(error, ImportError):
            reason = _advice(address, error)
        raise SuperresError(f"data.source: {address}: {reason}") from error


def _first(error: BaseException) -> BaseException:
    """Return what an error comes from: of the web, fsspec takes all to mean that nothing is there.

    See `HTTPFileSystem._info` of fsspec.
    """
    while isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _refusal(error: BaseException) -> str:
    """Return why a server does not hand out a file; empty where it did not say so."""
    status = getattr(error, "status", None)
    if isinstance(response := getattr(error, "response", None), dict):  # botocore's
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if isinstance(error, FileNotFoundError) or status == ABSENT:
        return "not there"
    if isinstance(error, PermissionError) or status in FORBIDDEN:
        return f"access is forbidden ({_one_line(error)})"
    return "not there any more" if status == GONE else ""


def _file_system(address: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs  # noqa: PLC0415 - few need it

    protocol = urlsplit(address).scheme
    settings: dict[str, Any] = {}
    if protocol in WEB:
        from aiohttp import ClientTimeout  # noqa: PLC0415

        limits = ClientTimeout(None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
        settings = {"client_kwargs": {"timeout": limits}}
    elif EXTRAS.get(protocol) == "s3":
        times = {"connect_timeout": CONNECT_SECONDS, "read_timeout": SILENCE_SECONDS}
        settings = {"config_kwargs": {**times, "retries": {"max_attempts": 1}}}
    return url_to_fs(address, **settings)


def _in_time(work: Callable[[], Result], limit: float | None) -> Result:
    """Return what `work` does, or stop waiting for it: not every library has a limit of its own."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # raised below, where it is waited for
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(limit)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"none within {limit:g} s")
    return results[0]


def _advice(address: str, error: ImportError) -> str:
    extra = EXTRAS.get(urlsplit(address).scheme)
    return f"needs `pip install 'superres[{extra}]'`" if extra else _one_line(error)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
