"""Loading one section of `params.yaml` into a strict, frozen, typed object."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from superres.core.errors import SuperresError

PARAMS_FILE = Path("params.yaml")

NOISE = "models/noise"
"""The folder, of no model, that `start_from` names where training begins with noise: DVC wants the
folder that a stage depends on to be there."""


class Section(BaseModel):
    """A section of `params.yaml`: unknown or missing keys and loose types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    renamed: ClassVar[dict[str, str]] = {}
    """Names that keys had before, and what they are called now: a file that has them gets an error
    that says so."""


Precision = Literal["fp32", "bf16", "fp16"]
"""What products and convolutions are computed in; `superres.core.precision` has the types."""

Unit = Annotated[float, Field(ge=0, le=1)]

SectionType = TypeVar("SectionType", bound=Section)


class _Loader(yaml.SafeLoader):
    """YAML whose numbers are those of YAML 1.2 (`1e-4` is one) and whose keys are unique."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {name!r} is duplicated", key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.\d+|\d+(\.\d*)?)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def read_params(path: str | Path = PARAMS_FILE) -> dict[str, Any]:
    """Return the whole file as a mapping from section name to its raw value.

    Raises:
        SuperresError: no such file, not YAML, or not a mapping; the message names file and line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SuperresError(f"{path}: cannot be read: {error}") from error
    try:
        value = yaml.load(text, Loader=_Loader)  # a SafeLoader
    except yaml.YAMLError as error:
        raise SuperresError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(value, dict):
        raise SuperresError(f"{path}: must hold sections such as 'train:', got {value!r}")
    return value


def load_section(
    name: str,
    section: type[SectionType] | Mapping[str, type[SectionType]],
    path: str | Path = PARAMS_FILE,
) -> SectionType:
    """Return one section of the params file as its typed object.

    Args:
        name: the section, or a part of one with dots: `"evaluate.features"`.
        section: the class that says what is allowed, or one for each value of the key `kind`.
        path: the params file.

    Raises:
        SuperresError: one line per fault, each naming file, key, value and what is allowed.
    """
    value: Any = read_params(path)
    walked = []
    for part in name.split("."):
        walked.append(part)
        if not isinstance(value, dict) or part not in value:
            raise SuperresError(f"{path}: missing section '{'.'.join(walked)}'")
        value = value[part]
    return parse_section(name, section, value, path)


def parse_section(
    name: str,
    section: type[SectionType] | Mapping[str, type[SectionType]],
    value: Any,
    path: str | Path = PARAMS_FILE,
) -> SectionType:
    """Return a raw value as its typed object; see `load_section`."""
    if isinstance(section, Mapping):
        section = _of_kind(name, section, value, path)
    try:
        return section.model_validate(value)
    except ValidationError as error:
        details = error.errors(include_url=False)
        faults = [
            f"{path}: {_explain(name, section, fault)}"
            for fault in details
            if not _missing_by_its_old_name(section, fault)
        ]
        raise SuperresError("\n".join(dict.fromkeys(faults))) from error


def _of_kind(
    name: str, choices: Mapping[str, type[SectionType]], value: Any, path: str | Path
) -> type[SectionType]:
    """Return the class that the key `kind` of a raw section names."""
    if not isinstance(value, dict) or "kind" not in value:
        raise SuperresError(f"{path}: {name}: missing key 'kind' (one of {', '.join(choices)})")
    if value["kind"] not in choices:
        raise SuperresError(
            f"{path}: {name}.kind: must be one of {', '.join(choices)}, got {value['kind']!r}"
            f"{closest(str(value['kind']), list(choices))}"
        )
    return choices[value["kind"]]


def closest(word: str, choices: list[str]) -> str:
    """Return ` (did you mean 'x'?)`, or nothing where no choice is like the word."""
    matches = difflib.get_close_matches(word, choices, n=1)
    return f" (did you mean '{matches[0]}'?)" if matches else ""


def _explain(name: str, section: type[BaseModel], fault: ErrorDetails) -> str:
    location = list(fault["loc"])
    holder = _section_at(section, location[:-1])
    key = ".".join([name, *(str(part) for part in location)])
    got = fault["input"]
    kind = fault["type"]
    if kind == "extra_forbidden":
        place = ".".join([name, *(str(part) for part in location[:-1])])
        choices = list(holder.model_fields) if holder else []
        hint = closest(str(location[-1]), choices)
        renamed = holder.renamed if holder and issubclass(holder, Section) else {}
        if location[-1] in renamed:
            hint = f": it is called '{renamed[str(location[-1])]}' now"
        return f"{place}: unknown key '{location[-1]}'{hint}"
    if kind == "missing":
        place = ".".join([name, *(str(part) for part in location[:-1])])
        return f"{place}: missing key '{location[-1]}'"
    if kind == "literal_error":
        return f"{key}: must be one of {fault['ctx']['expected']}, got {got!r}"
    if kind in {"greater_than_equal", "less_than_equal", "greater_than", "less_than"}:
        return f"{key}: {_bounds(section, location)}, got {got!r}"
    if kind.endswith("_type") or kind.endswith("_parsing"):
        wanted = fault["msg"].removeprefix("Input should be ")
        return f"{key}: must be {wanted}, got {got!r}"
    return f"{key}: {fault['msg'].removeprefix('Value error, ')}, got {got!r}"


def _missing_by_its_old_name(section: type[BaseModel], fault: ErrorDetails) -> bool:
    """Whether a missing key is there by its former name, which is a fault itself."""
    holder = _section_at(section, list(fault["loc"])[:-1])
    if fault["type"] != "missing" or holder is None or not issubclass(holder, Section):
        return False
    old = {new: former for former, new in holder.renamed.items()}
    return old.get(str(fault["loc"][-1])) in fault["input"]


def _bounds(section: type[BaseModel], location: list[int | str]) -> str:
    names = [part for part in location if isinstance(part, str)]
    holder = _section_at(section, list(names[:-1]))
    limits: dict[str, Any] = {}
    if holder is not None and names[-1] in holder.model_fields:
        field = holder.model_fields[names[-1]]
        for rule in [*field.metadata, *_rules(field.annotation)]:
            for word in ("ge", "gt", "le", "lt"):
                if hasattr(rule, word):
                    limits[word] = getattr(rule, word)
    if {"ge", "le"} <= limits.keys():
        return f"must be between {limits['ge']} and {limits['le']}"
    words = {"ge": "at least", "gt": "greater than", "le": "at most", "lt": "less than"}
    bounds = " and ".join(f"{words[word]} {limit}" for word, limit in limits.items())
    return f"must be {bounds}" if bounds else "is out of range"


def _rules(annotation: Any) -> list[Any]:
    """Return the rules on a list's items or on what an optional value may be."""
    rules: list[Any] = []
    for note in getattr(annotation, "__metadata__", ()):
        rules += getattr(note, "metadata", [note])
    for part in get_args(annotation):
        rules += _rules(part)
    return rules


def _section_at(section: type[BaseModel], location: list[int | str]) -> type[BaseModel] | None:
    """Return the section class at a path of keys and list positions."""
    current: type[BaseModel] | None = section
    for part in location:
        if isinstance(part, int):
            continue
        if current is None or part not in current.model_fields:
            return None
        annotation = current.model_fields[part].annotation
        found = [kind for kind in (annotation, *get_args(annotation)) if _is_section(kind)]
        current = found[0] if found else None
    return current


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
