"""Under the recipe's names the recipe's values, held by small parts of what it made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from superres.core.errors import SuperresError
from superres.degradation.chain import MEANT_IN_1, Degradation, Step
from superres.degradation.corruptions import CORRUPTIONS, LUMA
from superres.degradation.recipe_corruptions import REDUCTIONS, quantization_step, reduced

FOLDER = Path(__file__).parents[1] / "golden"
COMMON = np.load(FOLDER / "corruption_small.npz")
IMAGE = COMMON["image_uint8"].astype(np.float32) / 255
ENTROPIES = [float(entropy) for entropy in COMMON["rand_vals"]]
GOLDEN = np.load(FOLDER / "recipe_corruptions.npz")


class Drawn:
    """A generator that draws what it was made with."""

    def __init__(self, field: np.ndarray | None = None, index: int = 0) -> None:
        self.field, self.index = field, index

    def random(self, shape: tuple[int, ...]) -> np.ndarray:
        assert self.field is not None and self.field.shape == shape
        return self.field

    def integers(self, count: int) -> int:
        assert self.index < count
        return self.index


def corrupted(kind: str, entropy: float, image: np.ndarray, drawn: Drawn) -> np.ndarray:
    made, applied = CORRUPTIONS[kind](image, entropy, lambda: drawn, 1.0)  # type: ignore[arg-type, return-value]
    assert applied == entropy and made.dtype == np.float32
    return made


def corner(image: np.ndarray) -> np.ndarray:
    return image[:20, -20:]


@pytest.mark.parametrize("row", range(5))
@pytest.mark.parametrize("kind", ["color_quantization", "saturation", "greyscale"])
def test_colours_equal_the_reference(kind: str, row: int) -> None:
    made = corrupted(kind, ENTROPIES[row], IMAGE, Drawn())
    np.testing.assert_allclose(corner(made), GOLDEN[f"{kind}_corner_r{row}"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("row", [1, 4])
def test_noise_5_equals_the_reference_and_is_the_same_at_every_entropy(row: int) -> None:
    part = np.ascontiguousarray(corner(IMAGE))
    made = corrupted("noise-5", ENTROPIES[row], part, Drawn(GOLDEN["noise_uniform"]))
    wanted = np.minimum(GOLDEN[f"noise_5_corner_r{row}"], 1)
    np.testing.assert_allclose(made, wanted, rtol=0, atol=1e-6)
    none = corrupted("noise-5", 0.0, part, Drawn(GOLDEN["noise_uniform"]))
    np.testing.assert_array_equal(none, made)


@pytest.mark.parametrize("row", [2, 4])
@pytest.mark.parametrize("mode", range(4))
def test_resampling_equals_the_reference(mode: int, row: int) -> None:
    factor = {2: 2, 4: 4}[row]
    small = IMAGE
    for axis in (0, 1):
        small = reduced(small, axis, factor, REDUCTIONS[mode])
    wanted = GOLDEN[f"lq_resampling_small_corner_r{row}_mode{mode}"]
    np.testing.assert_allclose(corner(small)[:10, -10:], wanted, rtol=0, atol=1e-6)
    made = corrupted("lq_resampling", ENTROPIES[row], IMAGE, Drawn(index=mode))
    wanted = GOLDEN[f"lq_resampling_corner_r{row}_mode{mode}"].clip(0, 1)
    np.testing.assert_allclose(corner(made), wanted, rtol=0, atol=1e-6)


def test_what_was_stored_before_the_names_were_told_apart_keeps_its_meaning() -> None:
    old = {"scale": 2, "blur_scale": 1.0, "random": 0, "seed": 0}
    step = {"name": "a", "distribution": "uniform", "low": 0.0, "high": 1.0, "always": True}
    for kind, meant in MEANT_IN_1.items():
        stored = {**old, "corruptions": [{**step, "kind": kind}]}
        assert Degradation.from_json(stored).corruptions[0].kind == meant
        new = Degradation(2, 1.0, (Step("a", kind),))
        assert Degradation.from_json(new.to_json()) == new
        assert {kind, meant} <= set(CORRUPTIONS)
    assert "kinds" not in Degradation(2, 1.0, (Step("a", "jpeg"),)).to_json()
    with pytest.raises(SuperresError, match="kinds 3: unknown to this version"):
        Degradation.from_json({**old, "corruptions": [], "kinds": 3})


def test_steps_are_where_the_recipe_has_them() -> None:
    assert [quantization_step(e) for e in (0, 0.29, 0.3, 0.59, 0.6, 0.89, 0.9, 1)] == [
        *(4, 4, 8, 8, 16, 16, 32, 32)
    ]
    for entropy, edge in ((0.0, 1), (0.29, 1), (0.3, 2), (0.69, 2), (0.7, 4), (1.0, 4)):
        made = corrupted("lq_resampling", entropy, IMAGE, Drawn(index=3))
        blocks = IMAGE.reshape(64 // edge, edge, 64 // edge, edge, 3).mean((1, 3))
        means = made.reshape(blocks.shape[0], edge, blocks.shape[1], edge, 3).mean((1, 3))
        # Enlarging linearly mixes neighbours; the means of blocks stay close.
        assert np.abs(means - blocks).mean() < 0.02, entropy
        assert np.array_equal(made, IMAGE) == (edge == 1), entropy


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (17, 30)])
@pytest.mark.parametrize("mode", range(4))
def test_resampling_takes_any_shape(size: tuple[int, int], mode: int) -> None:
    flat = np.full((*size, 3), 0.25, np.float32)
    made = corrupted("lq_resampling", 1.0, flat, Drawn(index=mode))
    np.testing.assert_allclose(made, flat, atol=1e-6)


def test_jitter_stays_within_the_recipes_range_and_uses_all_of_it() -> None:
    np.testing.assert_allclose(GOLDEN["color_jitter_setting"], 0.2 * np.array(ENTROPIES))
    grey = np.full((4, 4, 3), 0.5, np.float32)

    def brightness(entropy: float, seed: int) -> float:
        made, _ = CORRUPTIONS["color_jitter"](
            grey, entropy, lambda: np.random.default_rng(seed), 1.0
        )
        assert np.ptp(made) < 1e-5  # contrast, saturation and hue leave flat grey alone
        return float(made[0, 0] @ LUMA) / 0.5 - 1

    for entropy in (0.5, 1.0):
        drawn = [brightness(entropy, seed) for seed in range(300)]
        assert 0.19 * entropy < max(drawn) <= 0.2 * entropy + 1e-6
        assert -0.19 * entropy > min(drawn) >= -0.2 * entropy - 1e-6
    assert brightness(0.019, 0) == 0  # as small a jitter is left out
    image, _ = CORRUPTIONS["color_jitter"](IMAGE, 1.0, lambda: np.random.default_rng(1), 1.0)
    assert np.abs(image - IMAGE).mean() > 0.01
