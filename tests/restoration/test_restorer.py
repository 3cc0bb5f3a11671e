"""`superres.load(...).restore(...)`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import superres
from superres.core.errors import SuperresError
from superres.entropy.estimator import EntropyEstimator, EstimatorSpec, save_estimator
from superres.model.folder import load_model, read_spec, save_model
from superres.model.spec import SamplingSpec
from superres.restoration.picture import from_array
from superres.restoration.restorer import Restorer, load

RNG = np.random.default_rng(0)


def array(*shape: int, kind: type = np.uint8) -> np.ndarray:
    return RNG.integers(0, np.iinfo(kind).max + 1, shape, dtype=kind)


def save_tiny_estimator(folder: Path, **changes: Any) -> Path:
    torch.manual_seed(0)
    facts = {
        "entropies": ["blur", "jpeg"],
        "degradation": {"scale": 2},
        "channels": 8,
        "caution": 2,
        **changes,
    }
    spec = EstimatorSpec(format="superres-entropy-1", **facts)
    save_estimator(folder, EntropyEstimator(spec))
    return folder


def test_three_lines_of_a_notebook(model: Path) -> None:
    restorer = superres.load(model, device="cpu")
    image = Image.fromarray(array(12, 10, 3))
    restored = restorer.restore(image, jpeg=0.3, blur=0.5, steps=2)
    assert restored.mode == "RGB" and restored.size == (20, 24)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 1), (9, 7, 2), (9, 7, 3), (9, 7, 4), (1, 1, 3)])
def test_arrays_stay_what_they_are(restorer: Restorer, shape: tuple[int, ...], kind: type) -> None:
    given = array(*shape, kind=kind)
    restored = restorer.restore(given, estimate=True)
    assert restored.dtype == kind
    assert restored.shape == (2 * shape[0], 2 * shape[1], *shape[2:])


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (200, 1), (3, 77), (33, 35), (60, 41)])
def test_any_size(restorer: Restorer, size: tuple[int, int]) -> None:
    restored = restorer.restore(array(*size, 3), steps=2)
    assert restored.shape == (2 * size[0], 2 * size[1], 3)


def test_lists_give_what_each_gives_alone(restorer: Restorer) -> None:
    images = [array(9, 7, 3), Image.fromarray(array(30, 31, 3)), array(5, 5)]
    together = restorer.restore(images, steps=2, seed=3)
    for image, restored in zip(images, together, strict=True):
        alone = restorer.restore(image, steps=2, seed=3)
        assert type(restored) is type(alone)
        np.testing.assert_array_equal(np.asarray(restored), np.asarray(alone))


def test_seeds_repeats_and_entropies_matter_and_nothing_else_does(model: Path) -> None:
    image, few, many = array(40, 40, 3), load(model, window=48, batch=1), load(model, window=48)
    one = few.restore(image, steps=2, seed=1)
    other = many.restore(Image.fromarray(image), steps=2, seed=1)
    assert np.abs(one.astype(int) - np.asarray(other)).max() <= 1
    for change in ({"seed": 2}, {"seed": 1, "repeat": 1}, {"seed": 1, "blur": 1.0}):
        assert not np.array_equal(few.restore(image, steps=2, **change), one)


def test_orientation_is_applied(restorer: Restorer) -> None:
    image = Image.fromarray(array(8, 12, 3))
    upright = image.transpose(Image.Transpose.ROTATE_270)
    image.getexif()[0x0112] = 6
    restored = restorer.restore(image, estimate=True)
    np.testing.assert_array_equal(restored, restorer.restore(upright, estimate=True))
    assert restored.size == (16, 24)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"jpg": 0.5}, r"unknown entropy or option 'jpg' \(did you mean 'jpeg'\?\); .*blur, jpeg"),
        ({"jpeg": 1.5}, "jpeg: must be between 0 and 1, got 1.5"),
        ({"jpeg": float("nan")}, "jpeg: must be between 0 and 1, got nan"),
        ({"steps": 0}, "steps: must be between 1 and 100, .*, got 0"),
        ({"steps": 101}, "steps: must be between 1 and 100, .*, got 101"),
        ({"sampler": "plms"}, "sampler: must be one of ddpm, .*, got 'plms'"),
        ({"spacing": "even"}, "spacing"),
        ({"temperature": 1.1}, "temperature: must be between 0 and 1, got 1.1"),
        ({"entropy": "guess"}, "entropy: must be 'auto' or None, got 'guess'"),
        ({"entropy": "auto"}, "no estimator of entropies there"),
    ],
)
def test_what_cannot_be_done_is_said(restorer: Restorer, options: Any, said: str) -> None:
    with pytest.raises(SuperresError, match=said):
        restorer.restore(array(4, 4, 3), **options)


def test_what_is_no_image(restorer: Restorer) -> None:
    with pytest.raises(SuperresError, match=r"an image is a Pillow image, .* got str"):
        restorer.restore("photo.jpg")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"window": 31}, "window: must be a positive multiple of the model's scale 2, got 31"),
        ({"batch": 0}, "batch: must be at least 1, got 0"),
        ({"device": "abacus"}, "device 'abacus' cannot be used"),
    ],
)
def test_what_cannot_be_loaded_is_said(model: Path, options: Any, said: str) -> None:
    with pytest.raises(SuperresError, match=said):
        load(model, **options)


def test_folders_that_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(SuperresError, match="not a model folder"):
        load(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps({"format": "superres-entropy-1"}))
    with pytest.raises(SuperresError, match=r"model\.json: "):
        load(tmp_path)


def test_auto_tells_what_the_estimator_says_and_flags_come_first(
    model: Path, tmp_path: Path
) -> None:
    restorer = load(model, entropy_estimator=save_tiny_estimator(tmp_path / "entropy"))
    image = array(32, 40, 3)
    picture = from_array(image)
    entropies = restorer.entropies(picture, {}, "auto")
    assert entropies == restorer.estimator().estimate(picture.signal())
    assert restorer.entropies(picture, {"jpeg": 0.125}, "auto") == {**entropies, "jpeg": 0.125}
    assert restorer.entropies(picture, {"jpeg": 0.125}) == {"blur": 0.0, "jpeg": 0.125}
    np.testing.assert_array_equal(
        restorer.restore(image, steps=2, entropy="auto"),
        restorer.restore(image, steps=2, **entropies),
    )


def test_an_estimator_for_other_corruptions_is_refused(model: Path, tmp_path: Path) -> None:
    for changes in ({"degradation": {"scale": 4}}, {"entropies": ["jpeg", "blur"]}):
        folder = save_tiny_estimator(tmp_path / "entropy", **changes)
        with pytest.raises(SuperresError, match="the estimator of entropies is for"):
            load(model, entropy_estimator=folder).estimator()


def test_a_folder_may_name_the_estimate_and_whoever_asks_for_samples_gets_them(
    model: Path, tmp_path: Path
) -> None:
    how = SamplingSpec(estimate=True, sampler="ddim", steps=3, spacing="trailing", temperature=0.5)
    spec = read_spec(model).model_copy(update={"sampling": how})
    save_model(tmp_path / "best", spec, load_model(model).network.state_dict())
    restorer = load(tmp_path / "best", device="cpu")
    assert restorer.sampling() is None
    sampled = restorer.sampling(estimate=False)
    assert sampled is not None and (sampled.sampler, sampled.steps) == ("ddim", 3)
    asked = restorer.sampling(steps=7)
    assert asked is not None and (asked.sampler, asked.steps) == ("ddim", 7)
    photo = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    usual, estimate = restorer.restore(photo), restorer.restore(photo, estimate=True)
    assert np.array_equal(usual, estimate)
    assert not np.array_equal(usual, restorer.restore(photo, estimate=False))
