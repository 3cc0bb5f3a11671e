"""Reading from a state dict's names and shapes which U-Net it belongs to.

Names and shapes are those of guided-diffusion's `UNetModel`, which DL-Art-School shares. What they
do not show (heads, the order of the attention's channels, the groups of the norms) is asked for.

Damaged files shall be distinguished from foreign ones, and their faults named; so whatever several
tensors show is decided by their majority, and comparing names and shapes comes afterwards.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from superres.networks.layers import rules_differ

PICTURE_CHANNELS = 6
"""The noisy picture and the upsampled low-resolution one."""
_PLACE = re.compile(r"(input|output)_blocks\.(\d{1,3})\.(\d)\.([a-z_]+)")
_ATTENTION = {"norm", "qkv", "proj_out"}
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Architecture:
    """What tensors show of their network; see `UNetParams` for the names."""

    channels: int
    channel_mult: tuple[int, ...]
    blocks: int
    attention: tuple[int, ...]
    middle_attention: bool
    scale_shift_norm: bool
    resblock_updown: bool
    entropies: int
    out_channels: int
    classes: int | None
    norm_widths: frozenset[int]

    @property
    def groupnorm_matters(self) -> bool:
        """Whether the two rules for norms give different networks."""
        return rules_differ(self.norm_widths)

    def likely_groupnorm(self) -> str:
        """Return the rule these weights were most likely trained with.

        guided-diffusion has 32 groups whatever the width, so other widths than multiples of 32,
        like entropy planes, can only come from DL-Art-School. Without either, the tensors look
        the same, and guided-diffusion is the likelier origin.
        """
        divisible = all(width % 32 == 0 for width in self.norm_widths)
        return "fixed_32" if divisible and not self.entropies else "by_width"


def norm_widths(tensors: Mapping[str, Tensor]) -> frozenset[int]:
    """Return the widths that are normed: no other module has weights of one dimension."""
    return frozenset(
        len(tensor)
        for name, tensor in tensors.items()
        if name.endswith(".weight") and tensor.ndim == 1 and len(tensor)
    )


def infer_architecture(tensors: Mapping[str, Tensor]) -> Architecture:
    """Return what a state dict shows of its network.

    Args:
        tensors: by name, without prefix; only names and shapes are looked at.

    Raises:
        ValueError: not a super-resolution U-Net of this family, with what was looked for.
    """
    evidence = _Evidence({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    channels = evidence.channels()
    span, levels = evidence.spans()
    widths = evidence.widths(span, levels)
    if channels is None or not widths:
        sought = "time_embed.0.weight, 4C x C"
        if channels is not None:
            sought = "input_blocks.*.0.out_layers and output_blocks.*.0, equally many on each level"
        shown = ", ".join([*list(tensors)[:3], *["..."][: len(tensors) - 3]])
        raise ValueError(
            "not a U-Net of guided-diffusion or DL-Art-School: looked for time_embed, input_blocks,"
            f" middle_block, output_blocks, out; {len(tensors)} tensors ({shown}) lack {sought}"
        )
    uneven = [width for width in widths if width % channels]
    if uneven:
        raise ValueError(
            f"levels of {widths} channels are not whole multiples of the {channels} of time_embed; "
            "fractional multipliers cannot be expressed"
        )
    return Architecture(
        channels=channels,
        channel_mult=tuple(width // channels for width in widths),
        blocks=span - 1,
        attention=tuple(
            2**level for level in range(levels) if evidence.attends(level, levels, span)
        ),
        middle_attention=evidence.attends_in_the_middle(),
        scale_shift_norm=evidence.scales_and_shifts(),
        resblock_updown=evidence.resamples_in_residual_blocks(),
        entropies=evidence.in_channels() - PICTURE_CHANNELS,
        out_channels=evidence.out_channels(),
        classes=evidence.classes(),
        norm_widths=norm_widths(tensors),
    )


class _Evidence:
    """The shapes by name, and which modules are where.

    A level takes `span` = blocks + 1 places: on the way down, its residual blocks and what halves
    the resolution, after the stem at place 0; on the way up, its residual blocks, the last of
    which holds what doubles the resolution.
    """

    def __init__(self, shapes: dict[str, tuple[int, ...]]) -> None:
        self.shapes = shapes
        self.modules: dict[tuple[str, int, int], set[str]] = {}
        for name in shapes:
            if match := _PLACE.match(name):
                way, index, position, module = match.groups()
                self.modules.setdefault((way, int(index), int(position)), set()).add(module)

    def channels(self) -> int | None:
        first, bias = self._shape("time_embed.0.weight", 2), self._shape("time_embed.0.bias", 1)
        votes = [*first[1:], *(size // 4 for size in (*first[:1], *bias))]
        votes += [size // 4 for size in self._shape("time_embed.2.weight", 2)]
        return _majority(vote for vote in votes if vote > 0)

    def spans(self) -> tuple[int, int]:
        """Return blocks + 1 and the number of levels; (0, 0) where nothing shows them."""
        marks = [i for (way, i, _), held in self.modules.items() if way == "input" and "op" in held]
        marks += [i + 1 for i in self._upsamplers()]
        for way in ("input", "output"):
            count = 1 + max((i for w, i, _ in self.modules if w == way), default=-1)
            span = math.gcd(count, *marks)
            if span > 1:
                return span, count // span
        return 0, 0

    def widths(self, span: int, levels: int) -> list[int]:
        """Return the channels of each level; empty where a level does not show them."""
        widths = []
        for level in range(levels):
            begin = 1 + level * span
            names = [
                f"input_blocks.{i}.0.{name}"
                for i in range(begin, begin + span - 1)
                for name in ("in_layers.2.bias", "out_layers.0.weight", "out_layers.3.bias")
            ]
            width = _majority(size for name in names for size in self._shape(name, 1))
            if not width:
                return []
            widths.append(width)
        return widths

    def attends(self, level: int, levels: int, span: int) -> bool:
        begin, last = 1 + level * span, levels - 1 - level
        places = [("input", i, 1) for i in range(begin, begin + span - 1)]
        places += [("output", i, 1) for i in range(last * span, (last + 1) * span)]
        votes = [bool(self.modules.get(place, set()) & _ATTENTION) for place in places]
        return bool(_majority(votes))

    def attends_in_the_middle(self) -> bool:
        begins = tuple(f"middle_block.1.{module}." for module in _ATTENTION)
        return any(name.startswith(begins) for name in self.shapes)

    def scales_and_shifts(self) -> bool:
        votes = []
        for name in self.shapes:
            block, end, _ = name.partition("emb_layers.1.bias")
            width = self._shape(f"{block}out_layers.3.bias", 1) if end else ()
            if width:
                votes.append(self._shape(name, 1) == (2 * width[0],))
        return bool(_majority(votes))

    def resamples_in_residual_blocks(self) -> bool:
        return bool(_majority(self._upsamplers().values()))

    def in_channels(self) -> int:
        shape = self._shape("input_blocks.0.0.weight", 4)
        channels = shape[1] if shape else PICTURE_CHANNELS
        if channels < PICTURE_CHANNELS:
            raise ValueError(
                f"input_blocks.0.0.weight takes {channels} channels; super-resolution takes 6 (the "
                "noisy and the low-resolution picture) and one per corruption"
            )
        return channels

    def out_channels(self) -> int:
        votes = [*self._shape("out.2.weight", 4)[:1], *self._shape("out.2.bias", 1)]
        channels = votes[0] if votes else 6
        if channels not in (3, 6):
            raise ValueError(
                f"out.2.weight gives {channels} channels; it must be 3, or 6 with the variance"
            )
        return channels

    def classes(self) -> int | None:
        shape = self._shape("label_emb.weight", 2)
        return shape[0] if shape else None

    def _upsamplers(self) -> dict[int, bool]:
        """Return the places that double the resolution, and whether by a residual block."""
        return {
            index: "in_layers" in held
            for (way, index, position), held in self.modules.items()
            if way == "output" and position and held & {"conv", "in_layers"}
        }

    def _shape(self, name: str, dimensions: int) -> tuple[int, ...]:
        shape = self.shapes.get(name, ())
        return shape if len(shape) == dimensions else ()


def _majority(votes: Iterable[_Value]) -> _Value | None:
    """Return the most frequent vote, the first of equals, or None without votes."""
    ranked = Counter(votes).most_common(1)
    return ranked[0][0] if ranked else None
