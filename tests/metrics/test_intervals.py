import math

import numpy as np
import pandas as pd
import pytest

from superres.metrics.config import BootstrapParams
from superres.metrics.intervals import GAIN_KEY, bootstrap_intervals

PARAMS = BootstrapParams(resamples=2000, seed=0)


def table(values, sources, contender="bicubic"):
    rows = {"id": [f"p{n}" for n in range(len(values))], "source": sources, "psnr": values}
    return pd.DataFrame(rows).assign(contender=contender)


def test_interval_of_independent_values_is_that_of_their_mean():
    values = np.random.default_rng(0).normal(30, 2, 400)
    low, high = bootstrap_intervals(table(values, [str(n) for n in range(400)]), PARAMS)["bicubic"][
        "psnr"
    ]
    half = 1.96 * values.std() / math.sqrt(400)
    # Drawing a tile of each photograph drawn changes nothing where each has one.
    assert low == pytest.approx(values.mean() - half, abs=0.02)
    assert high == pytest.approx(values.mean() + half, abs=0.02)


def test_tiles_that_resemble_each_other_count_as_one():
    """Ten photographs of forty equal tiles: as uncertain as ten values, not as four hundred."""
    means = np.random.default_rng(1).normal(30, 2, 10)
    rows = table(np.repeat(means, 40), [str(n // 40) for n in range(400)])
    low, high = bootstrap_intervals(rows, PARAMS)["bicubic"]["psnr"]
    assert high - low == pytest.approx(2 * 1.96 * means.std() / math.sqrt(10), rel=0.1)


def test_gain_is_paired_and_narrower_than_what_it_is_the_difference_of():
    values = np.random.default_rng(2).normal(30, 3, 60)
    sources = [str(n % 12) for n in range(60)]
    rows = pd.concat(
        [table(values, sources), table(values + 0.5 + 0.01 * np.arange(60) / 60, sources, "model")]
    )
    found = bootstrap_intervals(rows, PARAMS)
    low, high = found["model"][GAIN_KEY]
    assert 0.5 < low < high < 0.51
    assert found["model"]["psnr"][1] - found["model"]["psnr"][0] > 0.5
    assert GAIN_KEY not in found["bicubic"]


def test_the_seed_alone_decides():
    rows = table(np.arange(20.0), [str(n % 5) for n in range(20)])
    found = bootstrap_intervals(rows, PARAMS)
    assert found == bootstrap_intervals(rows, PARAMS)
    assert found != bootstrap_intervals(rows, PARAMS.model_copy(update={"seed": 1}))


def test_infinite_tiles_are_left_out_and_a_figure_without_mean_has_no_interval():
    rows = table([30.0, math.inf, 30.0], ["a", "a", "b"])
    assert bootstrap_intervals(rows, PARAMS)["bicubic"]["psnr"] == pytest.approx([30, 30])
    exact = table([math.inf] * 3, ["a", "a", "b"])
    assert bootstrap_intervals(exact, PARAMS) == {"bicubic": {}}
