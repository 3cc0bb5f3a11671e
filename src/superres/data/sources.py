"""Finding files: all that lies under `data.source`, in one order on every machine."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import urlsplit

from superres.core.errors import SuperresError
from superres.core.images import SUFFIXES, UnreadableImage
from superres.data import addresses
from superres.data.archives import Member, is_archive, members, read_member

DVC_COPIES = "/.dvc/tmp/exps/"
"""Where DVC puts the copies of the repository that experiments run in."""


class Source(NamedTuple):
    """A file that may be a photograph."""

    name: str
    """Path below `data.source` with `/` between its parts; what the manifests call it."""
    path: Path
    """The file, or the archive that holds it; of an address the name."""
    reason: str = ""
    """Why it is not even opened; empty for files to look into."""
    member: Member | None = None
    address: str = ""
    """Where it is read from, if not from the disk."""

    @property
    def named_as_image(self) -> bool:
        """Whether its name ends as an image's does: such a file is expected to be readable."""
        web = self.address.startswith(addresses.WEB)
        name = urlsplit(self.address).path if web else self.name
        return PurePosixPath(name).suffix.lower() in SUFFIXES

    def content(self) -> bytes | None:
        """Return the bytes of an archive's member or at an address; None for a file of its own.

        Raises:
            UnreadableImage: the member is damaged, nothing is at the address or it is forbidden.
            SuperresError: no answer from there.
        """
        if self.address:
            try:
                return addresses.read(self.address)
            except addresses.Lacking as error:
                raise UnreadableImage(self.path, f"{self.address}: {error}") from error
        if self.member is None:
            return None
        try:
            return read_member(self.path, self.member)
        except (OSError, ValueError) as error:
            raise UnreadableImage(self.path, str(error)) from error


def find_sources(source: str | Path, pattern: str = "**") -> list[Source]:
    """Return every file of a folder, an archive or a list, sorted by name.

    Args:
        source: a folder, searched with its subfolders; a zip or uncompressed tar archive; or a
            UTF-8 text file with one path or address per line, relative to the file. The folder or
            the text file may be at an address (`s3://`, `gs://`, `https://`).
        pattern: glob that names must match, `**` standing for any folders; others are not listed.

    Hidden files, links to folders (which may form circles) and what is no regular file (pipes,
    sockets) are listed with that reason and never opened.

    Raises:
        SuperresError: no such source, no answer from its address, or no file in it that matches.
    """
    if addresses.is_address(source):
        found = list(_at_address(str(source)))
    else:
        found = list(_on_disk(Path(source)))
    found = [each for each in found if matches(each.name, pattern)]
    if not found:
        raise SuperresError(f"data.source: {source}: holds no file that matches {pattern!r}")
    return sorted(found, key=lambda each: each.name)


def check_there(source: str | Path) -> None:
    """Refuse a `data.source` that is no folder and no file; an address is not looked up.

    Raises:
        SuperresError: with what may be the reason.
    """
    if addresses.is_address(source):
        return
    source = Path(source)
    if source.is_dir() or source.is_file():
        return
    hint = ""
    if set("*?[") & set(str(source)):
        hint = "; for a pattern set data.source to the folder and data.pattern to the rest"
    elif not source.is_absolute() and _in_a_copy():
        hint = (
            " in this copy of the repository, which `dvc exp run --temp` and `--queue` make of "
            "what Git tracks: give an absolute path"
        )
        if ".." not in source.parts:
            hint += f", or have it copied too, by --copy-paths {source}"
    raise SuperresError(f"data.source: {source}: no such folder or file{hint}")


def check_copied(source: str | Path) -> None:
    """Refuse a `data.source` that is missing from a copy that DVC made of the repository.

    Raises:
        SuperresError: see `check_there`.
    """
    if _in_a_copy():
        check_there(source)


def _in_a_copy() -> bool:
    return DVC_COPIES in Path.cwd().as_posix()


def matches(name: str, pattern: str) -> bool:
    """Whether a name with `/` between its parts matches a glob, `**` being any number of parts."""
    return _parts_match(name.split("/"), pattern.split("/"))


def _parts_match(name: list[str], pattern: list[str]) -> bool:
    if not pattern:
        return not name
    if pattern == ["**"]:
        return True
    if pattern[0] == "**":
        return any(_parts_match(name[begin:], pattern[1:]) for begin in range(len(name)))
    return bool(name) and fnmatchcase(name[0], pattern[0]) and _parts_match(name[1:], pattern[1:])


def _on_disk(source: Path) -> Iterator[Source]:
    check_there(source)
    if source.is_dir():
        return _in_folder(source)
    return _in_archive(source) if is_archive(source) else _in_list(source)


def _at_address(address: str) -> Iterator[Source]:
    seen: set[str] = set()
    for name, where in addresses.files_at(address):
        yield _addressed(name, where, where in seen)
        seen.add(where)


def _addressed(name: str, address: str, again: bool) -> Source:
    hidden = any(part.startswith(".") for part in PurePosixPath(name).parts)
    reason = "listed twice" if again else "hidden file" if hidden else ""
    return Source(_printable(name), Path(name), reason, address=address)


def _in_folder(folder: Path) -> Iterator[Source]:
    for parent, folders, files in os.walk(folder, onerror=_unreadable):
        for name in list(folders):
            path = Path(parent, name)
            if name.startswith("."):
                folders.remove(name)
                yield Source(_printable(path.relative_to(folder)), path, "hidden folder")
            elif path.is_symlink():  # os.walk does not follow it
                yield Source(_printable(path.relative_to(folder)), path, "link to a folder")
        for name in files:
            path = Path(parent, name)
            yield Source(_printable(path.relative_to(folder)), path, _fault(path))


def _in_archive(path: Path) -> Iterator[Source]:
    for member in members(path):
        name = member.name.removeprefix("./")
        hidden = any(part.startswith(".") for part in PurePosixPath(name).parts)
        reason = member.reason or ("hidden file" if hidden else "")
        yield Source(_printable(name), path, reason, member)


def _in_list(file: Path) -> Iterator[Source]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SuperresError(
            f"data.source: {file}: neither a folder, an archive nor a text file of paths: {error}"
        ) from error
    seen: set[str] = set()
    for line in filter(None, (line.strip() for line in lines)):
        again = line in seen
        seen.add(line)
        if addresses.is_address(line):
            yield _addressed(line, line, again)
            continue
        path = file.parent / line
        yield Source(line, path, "listed twice" if again else _fault(path))


def _fault(path: Path) -> str:
    """Return why a file is not to be opened: opening a pipe would wait for ever."""
    if path.name.startswith("."):
        return "hidden file"
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return f"{'broken link' if path.is_symlink() else 'not accessible'}: {error.strerror}"
    if stat.S_ISDIR(mode):
        return "a folder"
    return "" if stat.S_ISREG(mode) else "no regular file (a pipe, socket or device)"


def _printable(path: str | Path) -> str:
    """Return a path as UTF-8 text; bytes of a name that are not UTF-8 become escapes."""
    text = path.as_posix() if isinstance(path, Path) else path
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def _unreadable(error: OSError) -> None:
    raise SuperresError(f"data.source: {error.filename}: cannot be read: {error.strerror}")
