"""What the pipeline's stages do: data, loader, training, sampling, restoring, measuring.

Everything is made in a temporary folder from random pictures with the project's own params.
"""

from __future__ import annotations

import resource
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.measuring import MATRIX, Row, flops_of, interleaved, matrix_product, rate_of
from superres.config.check import Params, check_params
from superres.core.distributed import Processes
from superres.data.tiling import tile_photographs
from superres.degradation.dataset import PairSet
from superres.degradation.pairs import degrade_tiles
from superres.evaluation.contenders import Folders, measure
from superres.evaluation.reference import write_reference
from superres.model.folder import SuperResolver, save_model
from superres.restoration.job import Tiling
from superres.restoration.picture import from_array
from superres.restoration.restorer import Restorer
from superres.sampling.batch import Batch, Sampling
from superres.sampling.test_set import restore_tiles
from superres.training.trainer import Trainer

ROOT = Path(__file__).resolve().parent.parent
CPU = torch.device("cpu")
Sizes = SimpleNamespace
"""How much is measured: photographs, edge, rounds, steps, picture, network batch."""


def photographs(folder: Path, count: int, edge: int) -> float:
    """Write smooth random JPEG photographs and return their megapixels together."""
    folder.mkdir()
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 256, (edge // 12, edge // 12, 3))
        small = Image.fromarray(noise.astype(np.uint8))
        picture = small.resize((edge, edge), Image.Resampling.BICUBIC)
        picture.save(folder / f"{number}.jpg", quality=95)
    return count * edge**2 / 1e6


def data_rows(folder: Path, params: Params, sizes: Any) -> list[Row]:
    """Return megapixels of photographs tiled, and of tiles degraded, per second."""
    pixels = photographs(folder / "photographs", sizes.photographs, sizes.edge)
    data = params.data.model_copy(
        update={"source": str(folder / "photographs"), "min_sharpness": 0.0, "max_tiles": 10**6}
    )
    degrade = params.degrade.model_copy(update={"variants": 1})
    tiles = folder / "data/tiles"
    times = interleaved(
        {
            "tiling": lambda: tile_photographs(data, tiles, folder / "photographs.csv"),
            "degrading": lambda: degrade_tiles(degrade, tiles, folder / "data/pairs"),
        },
        sizes.rounds,
        CPU,
    )
    cut = sum(
        len(PairSet(tiles, folder / "data/pairs", split)) for split in ("train", "val", "test")
    )
    made = {"tiling": pixels, "degrading": cut * data.tile_size**2 / 1e6}
    return [
        Row(what, "MP/s", [made[what] / value for value in taken], facts={"tiles": cut})
        for what, taken in times.items()
    ]


def training_rows(folder: Path, params: Params, sizes: Any) -> list[Row]:
    """Return tiles read per second, and images trained per second by the real training."""
    trainer = _trainer(folder, params)
    batch = params.train.batch
    read = interleaved({"": lambda: trainer.batches.read(0, batch)}, 10 * sizes.rounds, CPU)[""]
    for _ in range(2):
        trainer.advance()
    before = trainer.loader.waited
    begin = time.perf_counter()
    times = interleaved(
        {"step": trainer.advance, "product": matrix_product(CPU, torch.float32, MATRIX)},
        sizes.steps,
        CPU,
        warm=0,
    )
    taken = time.perf_counter() - begin - sum(times["product"])
    noisy = torch.zeros(batch, 3, params.data.tile_size, params.data.tile_size)
    with torch.no_grad():
        flops = flops_of(
            lambda: trainer.model.network(
                noisy,
                torch.zeros(batch),
                noisy,
                torch.zeros(batch, len(trainer.spec.entropies)),
            )
        )
    peak = rate_of(2 * MATRIX**3, times["product"])
    facts = {
        "share of matrix rate": rate_of(3 * flops, times["step"]) / peak,
        "share waiting for data": (trainer.loader.waited - before) / taken,
        "peak memory of the process MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    trainer.loader.close()
    return [
        Row("loader alone, one thread", "tiles/s", [batch / value for value in read]),
        Row("training step", "images/s", [batch / value for value in times["step"]], facts=facts),
    ]


def using_rows(folder: Path, params: Params, sizes: Any) -> list[Row]:
    """Return images sampled, megapixels restored and images measured per second."""
    model = _model(folder, params)
    save_model(folder / "best", model.spec, model.network.state_dict())
    edge, steps = params.data.tile_size // model.spec.scale, 50 if sizes.rounds > 1 else 2
    count = sizes.batch
    pixels = np.random.default_rng(0).integers(0, 256, (count, edge, edge, 3), dtype=np.uint8)
    names = [str(number) for number in range(count)]
    tiles = Batch(model, pixels, np.full((count, 2), 0.5), names, seed=0)
    large = from_array(
        np.random.default_rng(0).integers(0, 256, (sizes.picture, sizes.picture, 3), dtype=np.uint8)
    )
    restorer = Restorer(model, Tiling(), folder / "no estimator")
    told = dict.fromkeys(model.spec.entropies, 0.5)
    few = 5
    times = interleaved(
        {
            "sample": lambda: tiles.sample(Sampling("ddpm", steps)),
            "restore": lambda: restorer.run(large, told, Sampling("ddpm", few)),
        },
        max(1, sizes.rounds - 1),
        CPU,
        warm=0,
    )
    data = {"tiles": folder / "data/tiles", "pairs": folder / "data/pairs"}
    sampler = params.sampler.model_copy(update={"steps": 2, "repeats": 1})
    restore_tiles(sampler, folder / "best", **data, out=folder / "data/samples")
    features = params.evaluate.features.model_copy(update={"inception": "off"})
    write_reference(features, data["tiles"], folder / "data/reference")
    folders = Folders(
        **data,
        samples=folder / "data/samples",
        reference=folder / "data/reference",
        reports=folder / "reports",
    )
    evaluate = params.evaluate.model_copy(update={"features": features})
    measured = measure(evaluate, folders)
    times |= interleaved({"measure": lambda: measure(evaluate, folders)}, sizes.rounds, CPU, warm=0)
    restored = (sizes.picture * model.spec.scale) ** 2 / 1e6
    size = sizes.picture * model.spec.scale
    return [
        Row(
            f"sampling {count} tiles in {steps} steps",
            "images/s",
            [count / t for t in times["sample"]],
        ),
        Row(
            f"restoring {size} x {size} px",
            "MP/s",
            [few * restored / t for t in times["restore"]],
            f"per network evaluation of the whole picture; {few} steps",
        ),
        Row("evaluation of test tiles", "images/s", [measured / t for t in times["measure"]]),
    ]


def _trainer(folder: Path, params: Params) -> Trainer:
    return Trainer(
        params.model,
        params.diffusion,
        params.train,
        folder / "data/tiles",
        folder / "data/pairs",
        Processes(0, 1, CPU),
    )


def _model(folder: Path, params: Params) -> SuperResolver:
    trainer = _trainer(folder, params)
    trainer.loader.close()
    trainer.model.network.eval().requires_grad_(False)
    return trainer.model


def read_params() -> Params:
    """Return the params of the recipe's U-Net at the size of a CPU, checked."""
    return check_params(ROOT / "presets" / "small-unet.yaml")
