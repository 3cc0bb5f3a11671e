"""Which test tiles the page shows, how many fit into it, and what its viewer is told of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from superres.reporting.config import ReportParams
from superres.reporting.gain_figures import signed, tile_gains
from superres.reporting.run import Run
from superres.reporting.tile_cards import TileCard, tile_card

STATIC = 12
"""Tiles shown in every version at once where the page is printed or scripts are off."""
PROBED = 5
_NO_GAIN = 9999.0
"""Stands for an infinite gain in dB, which JSON does not know: one of the two tiles was exact."""


def shown_tiles(run: Run, params: ReportParams) -> list[TileCard]:
    """Return test tiles spread evenly from the estimate's largest gain to its smallest.

    They are `params.tiles`, or as many as fit into `params.max_megabytes`.

    Raises:
        SuperresError: a tile of `per_tile.csv` is not among the pairs or the samples.
    """
    gains = tile_gains(run.per_tile, "estimate").sort_values(
        ["gain", "id"], ascending=[False, True], na_position="last"
    )
    ids = list(gains["id"])
    made: dict[str, TileCard] = {}

    def cards(count: int) -> list[TileCard]:
        wanted = [ids[place] for place in spread(len(ids), count)]
        made.update({pair: tile_card(run, pair) for pair in wanted if pair not in made})
        return [made[pair] for pair in wanted]

    count, limit = min(params.tiles, len(ids)), params.max_megabytes * 10**6
    # A few tiles tell how many might fit, so that not all of a large test set are encoded.
    probe = [_size(card) for card in cards(min(PROBED, count))]
    count = max(1, min(count, int(1.1 * limit * len(probe) / sum(probe))))
    while count > 1 and sum(map(_size, cards(count))) > limit:
        count = max(1, min(count - 1, int(0.97 * count)))
    return cards(count)


def spread(length: int, count: int) -> list[int]:
    """Return `count` places among `length`, or all of them, evenly from the first to the last."""
    places = np.linspace(0, length - 1, min(count, length)).round().astype(int)
    return [int(place) for place in np.unique(places)]


def viewer_data(cards: list[TileCard]) -> dict[str, Any]:
    """Return what the viewer's script reads, as plain values.

    The first `STATIC` tiles of an even spread stand in the page as cards already, and their
    pictures are read from there.
    """
    static = spread(len(cards), STATIC)
    names = [label for label, _ in cards[0].gains]
    versions = [(picture.key, picture.label) for picture in cards[0].pictures]
    return {
        "versions": [{"key": key, "label": label} for key, label in versions],
        "contenders": names,
        "size": [cards[0].pictures[0].width, cards[0].pictures[0].height],
        "tiles": [
            _told(card, static.index(place) if place in static else None)
            for place, card in enumerate(cards)
        ],
    }


def _told(card: TileCard, static: int | None) -> dict[str, Any]:
    pictures = {} if static is not None else {p.key: p.uri for p in card.pictures}
    return {
        "source": card.source,
        "x": card.x,
        "y": card.y,
        "sharpness": card.sharpness,
        "entropies": [f"{name} {value}" for name, value in card.entropies],
        "gains": [{"value": _finite(gain), "text": signed(gain)} for _, gain in card.gains],
        "details": {p.key: p.detail for p in card.pictures},
        "card": static,
        "pictures": pictures,
    }


def _finite(gain: float) -> float | None:
    """Return a gain as a number that JSON has; None where both are exact."""
    return None if math.isnan(gain) else round(max(-_NO_GAIN, min(_NO_GAIN, gain)), 4)


def _size(card: TileCard) -> int:
    return sum(len(picture.uri) for picture in card.pictures)
