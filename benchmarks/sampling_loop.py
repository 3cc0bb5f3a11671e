"""Which share of its time the `sample` stage spends in evaluations of the network, on a CPU.

PYTHONPATH=src python -m benchmarks.sampling_loop          # default and the small U-Net, 48 tiles
PYTHONPATH=src python -m benchmarks.sampling_loop 16 10    # so many tiles, so many steps

Shares are of processor time, of all threads, and of the clock: what another program takes from a
core lengthens both sides of the second alike. Loading and joining the shards are left out.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from superres.config.check import check_params
from superres.core.device import pick_device
from superres.core.hashing import folder_digest
from superres.core.storage import ShardWriter, write_csv, write_json
from superres.degradation.chain import Degradation, Step
from superres.model.folder import save_model
from superres.model.resolver import SuperResolver
from superres.model.spec import ModelSpec
from superres.sampling import test_set

PRESETS = Path(__file__).resolve().parent.parent / "presets"
NAMES = ("default", "small-unet")
TILE_PX, SCALE = 64, 2


def main() -> None:
    """Sample with each preset and print what it took."""
    tiles, steps = (int(text) for text in (*sys.argv[1:], "48", "50")[:2])
    pick_device("cpu")
    for name in NAMES:
        with tempfile.TemporaryDirectory() as folder:
            print(measured(name, Path(folder), tiles, steps), flush=True)


def measured(name: str, folder: Path, tiles: int, steps: int) -> str:
    """Return what sampling with a preset took, and a digest of what it wrote."""
    checked = check_params(PRESETS / f"{name}.yaml")
    write_pairs(folder, tiles)
    spec = ModelSpec(
        format="superres-1",
        model=checked.model,
        diffusion=checked.diffusion,
        scale=SCALE,
        entropies=["blur", "jpeg"],
        degradation={"scale": SCALE},
        dropped=[],
        provenance={},
    )
    torch.manual_seed(0)
    network = SuperResolver(spec).network
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.02 * torch.randn_like(weight))
    save_model(folder / "model", spec, network.state_dict())
    spent = Spent()
    params = checked.sampler.model_copy(update={"steps": steps})
    with spent.watched():
        test_set.restore_tiles(
            params, folder / "model", folder / "tiles", folder / "pairs", folder / "data/samples"
        )
    shares = ", ".join(
        f"{100 * spent.network[clock] / loop:.1f} % of {clock} ({loop:.1f} s)"
        for clock, loop in spent.loop.items()
    )
    digest = folder_digest(folder / "data/samples")
    return f"{name}, {tiles} tiles, {steps} steps: {shares}; {digest}"


CLOCKS: dict[str, Callable[[], float]] = {
    "processor time": time.process_time,
    "the clock": time.perf_counter,
}


class Spent:
    """Seconds in the loop and, of these, in the network, by clock."""

    def __init__(self) -> None:
        self.loop = dict.fromkeys(CLOCKS, 0.0)
        self.network = dict.fromkeys(CLOCKS, 0.0)

    def watched(self) -> Any:
        """Return a context in which the stage's loop and its networks are timed."""
        from unittest.mock import patch  # noqa: PLC0415 - for this alone

        loop, load = test_set._TestSet.restore, test_set.load_model

        def loaded(*given: Any) -> SuperResolver:
            model = load(*given)
            network: Any = model.network
            # The network of two parts has another that is evaluated once for each picture.
            network.forward = self._timed(network.forward, self.network)
            network.prepare = self._timed(network.prepare, self.network)
            return model

        return patch.multiple(
            test_set,
            load_model=loaded,
            _TestSet=type("Timed", (test_set._TestSet,), {"restore": self._timed(loop, self.loop)}),
        )

    def _timed(self, function: Callable[..., Any], into: dict[str, float]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            begin = {name: clock() for name, clock in CLOCKS.items()}
            try:
                return function(*given, **named)
            finally:
                for name, clock in CLOCKS.items():
                    into[name] += clock() - begin[name]

        return call


def write_pairs(folder: Path, count: int) -> None:
    """Write tiles of noise with inputs of noise: what is restored does not matter here."""
    generator = np.random.default_rng(0)
    rows: dict[str, list[dict[str, Any]]] = {"tiles": [], "pairs": []}
    for name in rows:
        (folder / name).mkdir(parents=True)
    with (
        ShardWriter(folder / "tiles", "test") as tiles,
        ShardWriter(folder / "pairs", "test") as low,
    ):
        for number in range(count):
            source = {"source": "noise", "x": 0, "y": number * TILE_PX, "sharpness": 1.0}
            place = {"id": f"t{number}", "split": "test"}
            edges = (TILE_PX, TILE_PX // SCALE)
            tile, small = (generator.integers(0, 256, (e, e, 3), dtype=np.uint8) for e in edges)
            shard, index = tiles.append(tile)
            rows["tiles"].append({**place, "shard": shard, "index": index, **source})
            of_tile = {"tile_id": f"t{number}", "tile_shard": shard, "tile_index": index}
            shard, index = low.append(small)
            pair = {"id": f"p{number}", "split": "test", "shard": shard, "index": index, **of_tile}
            entropies = {"entropy_blur": 0.5, "entropy_jpeg": 0.25}
            rows["pairs"].append({**pair, **source, "variant": 0, **entropies})
    for name, table in rows.items():
        write_csv(folder / name / "manifest.csv", pd.DataFrame(table))
    how = Degradation(SCALE, 1.0, (Step("blur", "gaussian_blur"), Step("jpeg", "jpeg-broad")))
    write_json(folder / "pairs/degradation.json", how.to_json())


if __name__ == "__main__":
    main()
