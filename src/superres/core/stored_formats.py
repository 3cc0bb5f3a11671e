"""Descriptions in JSON that outlive the code that wrote them: how older ones are read."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from superres.core.errors import SuperresError

NEWER = "unknown to this version of superres; a newer one may have written it"


@dataclass(frozen=True)
class StoredFormat:
    """The versions that descriptions of one kind have had.

    Args:
        name: what the key `format` says in those that are written now.
        upgrades: for each older name, a function that returns the description in the next format.
        added: by path (`"diffusion.target"`), the value of keys that came later under the same
            name: what descriptions without them were written with.
    """

    name: str
    upgrades: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]
    added: Mapping[str, Any]

    def current(self, description: Any) -> dict[str, Any]:
        """Return a description as it would be written now; the one given stays as it is.

        Raises:
            SuperresError: no mapping, or of a format that is not known.
        """
        if not isinstance(description, dict):
            raise SuperresError(f"must be a mapping, got {type(description).__name__}")
        description = copy.deepcopy(description)
        while description.get("format") in self.upgrades:
            description = self.upgrades[description["format"]](description)
        if description.get("format") != self.name:
            known = ", ".join([*self.upgrades, self.name])
            raise SuperresError(
                f"format: {description.get('format')!r} is {NEWER}; known are {known}"
            )
        for path, value in self.added.items():
            *sections, key = path.split(".")
            holder: Any = description
            for section in sections:
                holder = holder.get(section) if isinstance(holder, dict) else None
            if isinstance(holder, dict):
                holder.setdefault(key, copy.deepcopy(value))
        return description

    def written(self, description: Mapping[str, Any]) -> dict[str, Any]:
        """Return a description as it is stored: without later keys that say what was so before.

        So versions that do not know those keys read what they can use.
        """
        stored = copy.deepcopy(dict(description))
        for path, value in self.added.items():
            *sections, key = path.split(".")
            holder: Any = stored
            for section in sections:
                holder = holder.get(section) if isinstance(holder, dict) else None
            if isinstance(holder, dict) and key in holder and holder[key] == value:
                del holder[key]
        return stored
