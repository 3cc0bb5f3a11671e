from __future__ import annotations

from pathlib import Path

import numpy as np
from trainings import trainer

from superres.core.tensors import to_pictures
from superres.training.previews import GAP, first_tiles, preview


def test_a_preview_shows_input_estimate_and_original(project: Path, tmp_path: Path) -> None:
    made = trainer(project, tmp_path)
    tiles = first_tiles(made.validation, 2)
    grid = preview(made.model, tiles, at_once=2)
    assert grid.shape == (2 * 32 + GAP, 3 * 32 + 2 * GAP, 3)
    assert np.array_equal(grid[:32, -32:], to_pictures(made.validation.high)[0])
    assert np.array_equal(grid[:32:2, :32:2], to_pictures(made.validation.low)[0])
    assert np.array_equal(grid, preview(made.model, tiles, at_once=2))
