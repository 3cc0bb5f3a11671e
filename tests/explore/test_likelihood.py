from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from superres import cli


def words(project: Path, out: Path, **options: object) -> list[str]:
    flags = {
        "model": project / "models/best",
        "tiles": project / "data/tiles",
        "pairs": project / "data/pairs",
        "steps": 6,
        **options,
    }
    return ["likelihood", str(out), *(f"--{name}={value}" for name, value in flags.items())]


def test_bits_are_told_term_by_term_whatever_the_batch(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for batch in (1, 5):
        assert cli.main(words(project, tmp_path / f"batch-{batch}", batch=batch)) == 0
    printed = capsys.readouterr().out
    tiles = pd.read_csv(tmp_path / "batch-1/tiles.csv")
    steps = pd.read_csv(tmp_path / "batch-1/timesteps.csv")
    assert steps["timestep"].tolist() == [0, 20, 40, 59, 79, 99]
    np.testing.assert_allclose(
        tiles["bits"], tiles[["prior", "decoder", "between"]].sum(axis=1), rtol=1e-5
    )
    assert steps["bits"].sum() + tiles["prior"].mean() == pytest.approx(tiles["bits"].mean())
    assert steps["bits"][0] == pytest.approx(tiles["decoder"].mean())
    assert (tiles["bits"] > 0).all()
    assert f"bits     {tiles['bits'].mean():8.4f}" in printed
    for name in ("tiles", "timesteps"):
        one, other = (pd.read_csv(tmp_path / f"batch-{batch}/{name}.csv") for batch in (1, 5))
        pd.testing.assert_frame_equal(one, other, rtol=1e-3)


def test_another_seed_draws_other_noise(project: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        cli.main(words(project, tmp_path / str(seed), seed=seed, count=1))
    one, other = (pd.read_csv(tmp_path / f"{seed}/tiles.csv") for seed in (0, 1))
    assert len(one) == 1
    assert one["bits"][0] != other["bits"][0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 101}, "--steps: must be between 1 and 100, the model's timesteps, got 101"),
        ({"steps": 0}, "--steps: must be at least 1, got 0"),
        ({"batch": -1}, "--batch: must be at least 1, got -1"),
        ({"model": "nowhere"}, "nowhere: not a model folder"),
        ({"pairs": "nowhere"}, "nowhere"),
    ],
)
def test_what_cannot_be_done_is_told_and_nothing_is_written(
    project: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: dict[str, object],
    message: str,
) -> None:
    assert cli.main(words(project, tmp_path / "out", **options)) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_exists_is_kept(project: Path, tmp_path: Path) -> None:
    assert cli.main(words(project, tmp_path)) == 1
    assert cli.main([*words(project, tmp_path, count=1), "--overwrite"]) == 0
