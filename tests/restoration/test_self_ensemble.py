from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from superres.core.errors import SuperresError
from superres.restoration.picture import Picture
from superres.restoration.restorer import Restorer
from superres.restoration.self_ensemble import ENSEMBLES, SIDES, averaged

HEIGHT, WIDTH = 20, 26


@pytest.fixture(params=["8 bits", "16 bits", "grey", "alpha"])
def image(request: pytest.FixtureRequest) -> np.ndarray:
    shape = {"grey": (HEIGHT, WIDTH), "alpha": (HEIGHT, WIDTH, 4)}.get(request.param)
    kind = np.uint16 if request.param == "16 bits" else np.uint8
    generator = np.random.default_rng(3)
    return generator.integers(0, np.iinfo(kind).max, shape or (HEIGHT, WIDTH, 3), kind, True)


def doubled(picture: Picture) -> Picture:
    """Repeat pixels: the same from every side."""
    parts = [
        None if one is None else one.repeat(2, axis=0).repeat(2, axis=1)
        for one in (picture.levels, picture.alpha)
    ]
    assert parts[0] is not None
    return Picture(parts[0], parts[1])


@pytest.mark.parametrize("count", ENSEMBLES)
def test_what_sees_all_sides_alike_is_not_changed(image: np.ndarray, count: int) -> None:
    picture = Picture(image[..., :3], image[..., 3]) if image.shape[-1] == 4 else Picture(image)
    found, expected = averaged(picture, doubled, count), doubled(picture)
    np.testing.assert_array_equal(found.levels, expected.levels)
    assert found.levels.dtype == image.dtype
    assert (found.alpha is None) == (expected.alpha is None)
    if found.alpha is not None and expected.alpha is not None:
        np.testing.assert_array_equal(found.alpha, expected.alpha)


@pytest.mark.parametrize("count", [2, 4, 8])
def test_the_mean_of_sides_that_lean_is_straight(count: int) -> None:
    """A restoration that lays a gradient over rows and one over columns: opposite sides cancel."""

    def leaning(picture: Picture) -> Picture:
        height, width = picture.size
        lean = 257 * (np.arange(height)[:, None] - np.arange(width) + width - height)
        return Picture((picture.levels + lean[:, :, None] + 9000).astype(np.uint16))

    levels = np.full((HEIGHT, WIDTH, 3), 20_000, np.uint16)
    found = averaged(Picture(levels), leaning, count).levels.astype(int)
    assert np.ptp(found) <= 1
    assert np.ptp(averaged(Picture(levels), leaning, 1).levels.astype(int)) > 5000


def test_all_sides_are_different() -> None:
    levels = np.arange(9).reshape(3, 3)
    seen = {averaged_side(levels, number) for number in range(8)}
    assert len(SIDES) == len(seen) == 8


def averaged_side(levels: np.ndarray, number: int) -> bytes:
    seen: list[np.ndarray] = []

    def remember(picture: Picture) -> Picture:
        seen.append(picture.levels)
        return picture

    averaged(Picture(levels.astype(np.uint8)), remember, 8)
    return seen[number].tobytes()


def test_the_model_restores_so_from_python(restorer: Restorer, image: np.ndarray) -> None:
    one = restorer.restore(image, estimate=True)
    assert np.array_equal(one, restorer.restore(image, estimate=True, ensemble=1))
    several = restorer.restore(image, estimate=True, ensemble=8)
    assert several.shape == one.shape and several.dtype == one.dtype
    assert not np.array_equal(several, one)
    mirrored = restorer.restore(image[:, ::-1].copy(), estimate=True, ensemble=8)
    difference = several.astype(int) - mirrored[:, ::-1].astype(int)
    assert abs(difference).max() <= 1  # all sides are seen either way


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ensemble": 3, "estimate": True}, "ensemble: must be one of 1, 2, 4, 8, got 3"),
        ({"ensemble": 2, "steps": 3}, "ensemble: is of estimates .*; got 2"),
    ],
)
def test_what_is_wrong_is_said(restorer: Restorer, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SuperresError, match=message):
        restorer.restore(np.zeros((8, 8, 3), np.uint8), **options)
