"""Which restored picture belongs to which original, by the stems of their files' names."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from superres.core.errors import SuperresError

NAME = "{name}"
"""What stands in a pattern for the part that both stems have in common."""


class Pattern(NamedTuple):
    """What stands around the common part of a stem."""

    prefix: str = ""
    suffix: str = ""

    @classmethod
    def parse(cls, text: str, option: str) -> Pattern:
        """Return the pattern of a text with one `{name}`.

        Raises:
            SuperresError: naming the option.
        """
        parts = text.split(NAME)
        if len(parts) != 2:
            raise SuperresError(
                f"{option}: must hold {NAME} once, as in '{NAME}_out', got {text!r}"
            )
        return cls(*parts)

    def name(self, stem: str) -> str | None:
        """Return the common part, or None for a stem that does not fit or has nothing else."""
        begin, end = len(self.prefix), len(stem) - len(self.suffix)
        fits = stem.startswith(self.prefix) and stem.endswith(self.suffix)
        return stem[begin:end] if fits and begin < end else None

    def __str__(self) -> str:
        return f"{self.prefix}{NAME}{self.suffix}"


class Rule(NamedTuple):
    """How a restored picture and its original are called."""

    restored: Pattern = Pattern()
    original: Pattern = Pattern()

    def original_of(self, stem: str) -> str | None:
        """Return the original's stem for a restored picture's; None where that does not fit."""
        name = self.restored.name(stem)
        return None if name is None else f"{self.original.prefix}{name}{self.original.suffix}"

    def restored_of(self, stem: str) -> str | None:
        """Return the restored picture's stem for an original's; None where that does not fit."""
        return Rule(self.original, self.restored).original_of(stem)

    def __str__(self) -> str:
        return f"restored '{self.restored}', original '{self.original}'"


SAME = Rule()
"""Both are called alike."""


def inferred(restored: Collection[str], original: Collection[str]) -> Rule | None:
    """Return a rule that pairs all stems of both sets, or None; alike comes first."""
    if set(restored) == set(original):
        return SAME
    if len(restored) != len(original):
        return None
    for rule in _rules(restored, original):
        found = {rule.original_of(stem) for stem in restored}
        if found == set(original):
            return rule
    return None


def selecting(restored: Collection[str], original: Collection[str]) -> Rule | None:
    """Return the first rule by which every original has a restored picture; some may be left."""
    rules = _rules(restored, original)
    return next(
        (rule for rule in rules if all(rule.restored_of(one) in restored for one in original)), None
    )


def _rules(restored: Collection[str], original: Collection[str]) -> Iterator[Rule]:
    """Yield the rules by which the first original may be called as one restored picture is."""
    first = min(original)
    for stem in sorted(restored):
        if (place := stem.find(first)) >= 0:
            yield Rule(Pattern(stem[:place], stem[place + len(first) :]))
        if (place := first.find(stem)) >= 0:
            yield Rule(original=Pattern(first[:place], first[place + len(stem) :]))
        if begin := _agreeing(stem, first):
            yield Rule(Pattern("", stem[begin:]), Pattern("", first[begin:]))
        if end := _agreeing(stem[::-1], first[::-1]):
            yield Rule(Pattern(stem[:-end]), Pattern(first[:-end]))


def _agreeing(one: str, other: str) -> int:
    """Return in how many characters at their beginning two stems agree, whole words alone."""
    place = 0
    while place < min(len(one), len(other)) and one[place] == other[place]:
        place += 1
    while place and not (_ends(one, place) and _ends(other, place)):
        place -= 1
    return place


def _ends(stem: str, place: int) -> bool:
    """Return whether a word of letters or digits ends at a place, or a sign."""
    if place == len(stem):
        return True
    before, after = (_kind(character) for character in stem[place - 1 : place + 1])
    return before == "sign" or before != after


def _kind(character: str) -> str:
    return "letter" if character.isalpha() else "digit" if character.isdigit() else "sign"
