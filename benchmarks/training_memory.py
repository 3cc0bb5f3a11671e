"""What training holds on a GPU, counted: a row of GiB per preset, and what fits which card.

    PYTHONPATH=src python benchmarks/training_memory.py [PRESET ...]

Every tensor of a pass is counted on torch's `meta` device, with the dtypes that CUDA gives them;
see `superres.training.expected_memory`, also for what a device adds. It takes a minute or two.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from superres.config.check import Params, check_params
from superres.model.folder import ModelSpec
from superres.training.expected_memory import ExpectedMemory, expected_memory

PRESETS = Path(__file__).resolve().parent.parent / "presets"
NAMES = ("recipe-256", "recipe-128", "box", "default")
TILES = (1, 4, 8, 32)
"""In a pass, counted, and the whole batch; what lies between is on a line, which is never too
little: the peak is the largest of several that grow evenly."""
SHOWN = (1, 8)
CARDS = (12, 16, 24, 48, 80)
"""GiB."""


def main() -> None:
    """Print a Markdown table."""
    print(f"| preset | {' | '.join(f'{tiles} in a pass' for tiles in SHOWN)} |", end="")
    print("".join(f" {card} GB |" for card in CARDS))
    print("|---" * (1 + len(SHOWN) + len(CARDS)) + "|")
    for name in sys.argv[1:] or NAMES:
        params = check_params(PRESETS / f"{name}.yaml")
        batch = params.train.batch
        sizes = [*(tiles for tiles in TILES if tiles < batch), batch]
        needs = {tiles: counted(params, tiles) for tiles in sizes}
        cells = [f"{needs[tiles].total / 2**30:.1f} GiB" for tiles in SHOWN]
        cells += [largest(params, needs, card * 2**30) for card in CARDS]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def counted(params: Params, tiles: int) -> ExpectedMemory:
    """Return what a params file's training needs with so many tiles in a pass of several."""
    return expected_memory(spec_of(params), params.train, params.data.tile_size, tiles, passes=2)


def spec_of(params: Params) -> ModelSpec:
    """Return the description of the model that a params file's training makes."""
    return ModelSpec(
        format="superres-1",
        model=params.model,
        diffusion=params.diffusion,
        scale=params.degrade.scale,
        entropies=[corruption.name for corruption in params.degrade.corruptions],
        degradation={},
        dropped=params.train.drop.dropped(),
        provenance={},
    )


def largest(params: Params, needs: dict[int, ExpectedMemory], card: float) -> str:
    """Return the most tiles in a pass that fit a card, of those that divide the batch."""
    counts, passing = list(needs), [need.passing for need in needs.values()]
    kept, batch = needs[counts[0]].kept, params.train.batch
    fitting = [
        size
        for size in range(1, counts[-1] + 1)
        if batch % size == 0
        and ExpectedMemory(kept, int(np.interp(size, counts, passing))).fits(card)
    ]
    return str(fitting[-1]) if fitting else "none"


if __name__ == "__main__":
    main()
