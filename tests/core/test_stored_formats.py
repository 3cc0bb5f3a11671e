from __future__ import annotations

from typing import Any

import pytest

from superres.core.errors import SuperresError
from superres.core.stored_formats import StoredFormat


def split_size(old: dict[str, Any]) -> dict[str, Any]:
    width, height = old.pop("size")
    return {**old, "format": "b", "box": {"width": width, "height": height}}


def in_metres(old: dict[str, Any]) -> dict[str, Any]:
    box = {name: length / 100 for name, length in old["box"].items()}
    return {**old, "format": "c", "box": box}


THIRD = StoredFormat("c", {"a": split_size, "b": in_metres}, {"colour": "red", "box.depth": [0]})


def test_every_older_format_becomes_the_current_one() -> None:
    current = {
        "format": "c",
        "box": {"width": 1.0, "height": 2.0, "depth": [0]},
        "colour": "red",
    }
    oldest = {"format": "a", "size": [100, 200]}
    assert THIRD.current(oldest) == current
    assert oldest == {"format": "a", "size": [100, 200]}, "what is given stays as it is"
    assert THIRD.current({"format": "b", "box": {"width": 100, "height": 200}}) == current
    assert THIRD.current(current) == current


def test_what_is_there_is_not_replaced_and_no_section_is_made_up() -> None:
    said = THIRD.current({"format": "c", "colour": "blue", "box": {"depth": [3]}})
    assert said == {"format": "c", "colour": "blue", "box": {"depth": [3]}}
    assert "box" not in THIRD.current({"format": "c"})
    assert THIRD.current({"format": "c", "box": 5})["box"] == 5


def test_defaults_are_nobodys_to_share() -> None:
    first, second = (THIRD.current({"format": "c", "box": {}}) for _ in range(2))
    first["box"]["depth"].append(1)
    assert second["box"]["depth"] == [0]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"format": "d"}, "format: 'd' is unknown to this version .* known are a, b, c"),
        ({}, "format: None is unknown"),
        ([], "must be a mapping, got list"),
    ],
)
def test_what_is_of_no_known_format(value: Any, message: str) -> None:
    with pytest.raises(SuperresError, match=message):
        THIRD.current(value)


def test_later_keys_that_say_what_was_so_before_are_not_written() -> None:
    kind = StoredFormat("b", upgrades={}, added={"net.kind": "plain", "extra": None})
    usual = {"format": "b", "net": {"width": 3, "kind": "plain"}, "extra": None}
    assert kind.written(usual) == {"format": "b", "net": {"width": 3}}
    assert kind.current(kind.written(usual)) == usual
    unusual = {"format": "b", "net": {"width": 3, "kind": "other"}, "extra": 1}
    assert kind.written(unusual) == unusual
