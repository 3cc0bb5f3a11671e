"""The `entropy` stage: it learns, repeats, and says how far off it is."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from superres.config.check import check_params
from superres.core.errors import SuperresError
from superres.core.params import NOISE, parse_section
from superres.data.tiling import tile_photographs
from superres.degradation.chain import Degradation, Step
from superres.degradation.pairs import degrade_tiles
from superres.entropy.config import EntropyParams
from superres.entropy.estimator import (
    MAX_PATCHES,
    PATCH,
    EntropyEstimator,
    EstimatorSpec,
    _patches,
    least_harm,
    load_estimator,
    save_estimator,
)
from superres.entropy.inputs import even_shares
from superres.entropy.network import LEVELS
from superres.entropy.train import shares, train_estimator
from support import tiny_params, write_photographs, write_yaml
from tiny_trial import build


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("run"))


def learn(run: Path, out: Path, **changes: Any) -> dict[str, Any]:
    params = parse_section(
        "entropy", EntropyParams, {**tiny_params()["entropy"], "caution": 1.0, **changes}
    )
    train_estimator(params, run / "tiles", run / "pairs", out / "entropy", out / "report.json")
    return json.loads((out / "report.json").read_text())


def test_it_learns_to_tell_jpeg_better_than_any_guess(run: Path, tmp_path: Path) -> None:
    errors = learn(
        run, tmp_path, steps=250, batch=16, channels=16, dropout=0.0, fresh_corruptions=0.0
    )
    for split in ("val", "test"):
        jpeg = errors[split]["entropies"]["jpeg"]
        guesses = jpeg["mean_absolute_of_0"], jpeg["mean_absolute_of_0.5"]
        assert jpeg["mean_absolute"] < 0.7 * min(guesses)
        assert jpeg["mean_absolute"] <= jpeg["root_mean_square"]
        assert abs(jpeg["bias"]) <= jpeg["mean_absolute"]


def test_caution_tells_less(run: Path, tmp_path: Path) -> None:
    plain = learn(run, tmp_path / "a", steps=60)["val"]["entropies"]["blur"]["bias"]
    careful = learn(run, tmp_path / "b", steps=60, caution=20.0)["val"]["entropies"]["blur"]["bias"]
    assert careful < plain - 0.05


def test_it_repeats_to_the_bit_and_its_seed_counts(run: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        learn(run, tmp_path / name, seed=seed)
    first, again, other = (
        (tmp_path / name / "entropy" / "weights.safetensors").read_bytes() for name in "abc"
    )
    assert first == again != other


def test_what_is_written_is_what_was_learned(run: Path, tmp_path: Path) -> None:
    learn(run, tmp_path)
    estimator = load_estimator(tmp_path / "entropy")
    assert estimator.spec.entropies == ["blur", "jpeg"]
    assert estimator.spec.caution == 1
    said = estimator.estimate(torch.rand(1, 3, 32, 32) * 2 - 1)
    assert list(said) == ["blur", "jpeg"] and all(0 <= value <= 1 for value in said.values())


def test_entropies_are_shared_by_the_levels_beside_them() -> None:
    entropies = torch.tensor([[0.0, 1.0], [0.5, 0.03]])
    shared = shares(entropies)
    assert shared.shape == (2, 2, LEVELS) and (shared >= 0).all()
    assert ((shared > 0).sum(dim=-1) <= 2).all()
    torch.testing.assert_close(shared.sum(dim=-1), torch.ones(2, 2))
    torch.testing.assert_close(shared @ torch.linspace(0, 1, LEVELS), entropies)


def test_what_is_certain_is_told_and_what_is_open_with_care() -> None:
    certain = torch.eye(LEVELS)
    told = least_harm(certain, 2.0)
    assert (told - torch.linspace(0, 1, LEVELS)).abs().max() <= 0.005 + 1e-6
    anything = torch.full((1, LEVELS), 1 / LEVELS)
    plain, careful, anxious = (least_harm(anything, caution).item() for caution in (1, 2, 10))
    # Without caution the mean of the squares is told: the root of a third, and a little for levels.
    assert plain == pytest.approx((np.linspace(0, 1, LEVELS) ** 2).mean() ** 0.5, abs=0.006)
    assert anxious < careful < plain


def test_a_large_picture_is_told_as_its_parts_together() -> None:
    torch.manual_seed(0)
    estimator = EntropyEstimator(spec())
    low = torch.rand(1, 3, 2 * PATCH, PATCH + 8) * 2 - 1
    asked: list[torch.Size] = []
    estimator.network.register_forward_hook(lambda _, given, __: asked.append(given[0].shape))
    said = estimator.estimate(low)
    assert [tuple(shape[2:]) for shape in asked] == 2 * [(PATCH, PATCH), (PATCH, 8)]
    with torch.no_grad():
        estimator.network.body[-1].bias[:] = 0.0  # votes of the first corruption for level 4 alone
        estimator.network.body[-1].bias[4] = 1.0
    assert estimator.estimate(low)["blur"] == pytest.approx(0.25, abs=0.02) != said["blur"]


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (7, 9), (300, 700)])
def test_any_size_is_estimated(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    estimator = EntropyEstimator(spec())
    said = estimator.estimate(torch.rand(1, 3, *size) * 2 - 1)
    assert all(0 <= value <= 1 for value in said.values())


def test_of_a_large_picture_parts_are_seen_that_begin_on_cells() -> None:
    low = torch.arange(3000 * 3000.0).view(1, 1, 3000, 3000)
    patches = _patches(low)
    assert len(patches) == MAX_PATCHES
    corners = np.array([divmod(int(patch[0, 0, 0, 0]), 3000) for patch in patches])
    assert not (corners % PATCH).any() and corners.max(axis=0).min() > 2500


def spec(**changes: Any) -> EstimatorSpec:
    facts = {
        "entropies": ["blur", "jpeg"],
        "degradation": {"scale": 2},
        "channels": 8,
        "caution": 2,
        **changes,
    }
    return EstimatorSpec(format="superres-entropy-1", **facts)


def test_models_that_mean_something_else_are_refused() -> None:
    estimator = EntropyEstimator(spec())
    estimator.check_model(["blur", "jpeg"], {"scale": 2})
    for names, degradation in ((["jpeg", "blur"], {"scale": 2}), (["blur", "jpeg"], {"scale": 4})):
        with pytest.raises(SuperresError, match="entropies must be given by hand"):
            estimator.check_model(names, degradation)


@pytest.mark.parametrize(
    ("key", "value", "fits"),
    [
        ("distribution", "uniform", True),
        ("probability", 0.5, True),
        ("high", 0.7, True),
        ("kind", "motion_blur", False),
    ],
)
def test_how_often_a_corruption_is_drawn_does_not_matter(key: str, value: Any, fits: bool) -> None:
    step = Step("blur", "gaussian_blur", "cosine")
    ours, theirs = (
        Degradation(2, 1.0, (one,), seed=seed).to_json()
        for seed, one in enumerate((step, replace(step, **{key: value})))
    )
    estimator = EntropyEstimator(spec(entropies=["blur"], degradation=ours))
    refused = pytest.raises(SuperresError, match="motion_blur")
    with nullcontext() if fits else refused:
        estimator.check_model(["blur"], theirs)


def test_folders_that_are_no_estimator(tmp_path: Path) -> None:
    with pytest.raises(SuperresError, match="no estimator of entropies there"):
        load_estimator(tmp_path)
    save_estimator(tmp_path / "a", EntropyEstimator(spec()))
    weights = tmp_path / "a" / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SuperresError, match="a: not readable: "):
        load_estimator(tmp_path / "a")
    weights.write_bytes(whole)
    (tmp_path / "a" / "entropy.json").write_text('{"format": "superres-1"}')
    with pytest.raises(SuperresError, match="a: not readable: "):
        load_estimator(tmp_path / "a")


def test_an_estimator_of_before_entropies_had_their_name_is_read(tmp_path: Path) -> None:
    save_estimator(tmp_path, EntropyEstimator(spec()))
    today = json.loads((tmp_path / "entropy.json").read_text())
    (tmp_path / "entropy.json").unlink()
    old = {**today, "format": "superres-strengths-2"}
    (tmp_path / "strengths.json").write_text(json.dumps(old))
    assert load_estimator(tmp_path).spec == spec()


def test_without_corruptions_folder_and_report_say_so(tmp_path: Path) -> None:
    params = tiny_params()
    params["data"].update(source=str(tmp_path / "photographs"))
    params["degrade"].update(corruptions=[])
    write_photographs(tmp_path / "photographs")
    checked = check_params(write_yaml(tmp_path / "params.yaml", params))
    tile_photographs(checked.data, tmp_path / "tiles", tmp_path / "photographs.csv")
    degrade_tiles(checked.degrade, tmp_path / "tiles", tmp_path / "pairs")
    folders = (tmp_path / "tiles", tmp_path / "pairs", tmp_path / "entropy")
    train_estimator(checked.entropy, *folders, tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report == {"note": "no corruptions: there is nothing to estimate"}
    estimator = load_estimator(tmp_path / "entropy")
    assert estimator.estimate(torch.zeros(1, 3, 16, 16)) == {}


def test_even_shares_make_strong_corruptions_as_frequent_as_mild_ones() -> None:
    generator = np.random.default_rng(0)
    mild = 1 - np.cos(generator.random(20_000) * np.pi / 2)
    absent = np.where(generator.random(20_000) < 0.3, 0.0, generator.random(20_000))
    drawn_shares = even_shares(np.stack([mild, absent], axis=1))
    assert drawn_shares.sum() == pytest.approx(1)
    items = generator.choice(20_000, 40_000, p=drawn_shares)
    counts = np.histogram(mild[items], bins=8, range=(0, 1))[0] / len(items)
    assert np.abs(counts - 1 / 8).max() < 0.01
    assert np.histogram(mild, bins=8, range=(0, 1))[0][0] > 20_000 / 5, "not so before"
    assert (absent[items] == 0).mean() == pytest.approx(0.3, abs=0.02)


def test_entropies_that_never_vary_are_no_trouble() -> None:
    assert np.allclose(even_shares(np.array([[0.0, 0.5], [0.0, 0.5]])), 0.5)


def test_training_begins_with_another_estimator(run: Path, tmp_path: Path) -> None:
    learn(run, tmp_path / "a")
    learn(run, tmp_path / "b", start_from=str(tmp_path / "a" / "entropy"), steps=0)
    first, second = (load_estimator(tmp_path / name / "entropy") for name in "ab")
    for name, weight in first.network.state_dict().items():
        assert torch.equal(weight, second.network.state_dict()[name])
    with pytest.raises(SuperresError, match=r"entropy\.start_from: .*channels is 8 there, 16 here"):
        learn(run, tmp_path / "c", start_from=str(tmp_path / "a" / "entropy"), channels=16)
    with pytest.raises(SuperresError, match="no estimator of entropies there"):
        learn(run, tmp_path / "c", start_from=str(tmp_path / "nowhere"))
    assert tiny_params()["entropy"]["start_from"] == NOISE
    with pytest.raises(SuperresError, match=r"steps must be at least 1 where start_from is"):
        learn(run, tmp_path / "c", steps=0)
