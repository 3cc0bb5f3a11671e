"""A finished run at tiny size, in the shape that the stages leave it, without any model."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from superres.core.params import load_section
from superres.core.picture_grid import draw_grid
from superres.core.storage import ShardWriter, write_csv, write_json
from superres.evaluation.measuring_networks import MISSING, absence_notes, reason_and_remedy
from superres.evaluation.outputs import write_figures
from superres.metrics.baselines import upsample
from superres.metrics.config import EvaluateParams
from superres.metrics.pairwise import measure_tile, without_features
from superres.reporting.config import ReportParams
from superres.reporting.origin import Difference, Origin
from superres.reporting.page import write_report
from support import ROOT

HOSTILE = ("</script>.png", "--><!-- \"q'.png", "a\u2028b.png", "javascript:alert(1)")
SOURCES = ("cat.png", "<img src=x onerror=alert(1)>.png", "写真 & фото.jpg")


def smooth_noise(seed, size):
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (size // 8, size // 8, 3), dtype=np.uint8)
    tile = upsample(coarse, (size, size), "bicubic").astype(int)
    return np.clip(tile + generator.integers(-25, 26, tile.shape), 0, 255).astype(np.uint8)


def halve(tile):
    blocks = tile.reshape(tile.shape[0] // 2, 2, tile.shape[1] // 2, 2, 3)
    return blocks.mean(axis=(1, 3)).round().astype(np.uint8)


ORIGIN = Origin("default.yaml", [Difference("data.source", "data/photos", "<my> photos")])


PARAMS = ReportParams(title="A <title> & more", tiles=4, zoom=3, max_megabytes=1.0)


def write(folder, params=PARAMS):
    said = write_report(params, ORIGIN, folder / "data", folder / "reports")
    return said, (folder / "reports" / "index.html").read_text(encoding="utf-8")


def change_json(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def write_tiles(folder, count, size):
    """Return the page of a run with so many tiles of a size in pixels, and hostile names."""
    build(folder, [smooth_noise(number, size) for number in range(count)], SOURCES + HOSTILE)
    write(folder, PARAMS.model_copy(update={"tiles": count, "max_megabytes": 13.0}))
    return folder / "reports" / "index.html"


def build(root: Path, originals=None, sources=SOURCES, seed=0):
    """Write data/ and reports/ of a run; `originals` are tiles, each of `sources` in turn."""
    if originals is None:
        originals = [smooth_noise(number, 32) for number in range(9)]
    data, reports = root / "data", root / "reports"
    for name in ("tiles", "pairs", "samples"):
        (data / name).mkdir(parents=True)
    (reports / "explore").mkdir(parents=True)
    generator = np.random.default_rng(seed)
    tiles, pairs, samples, measured, distances = [], [], [], [], []
    with (
        ShardWriter(data / "tiles", "test") as tile_writer,
        ShardWriter(data / "pairs", "test") as pair_writer,
        ShardWriter(data / "samples", "test") as sample_writer,
    ):
        for number, original in enumerate(originals):
            place = {
                "source": sources[number % len(sources)],
                "x": 32 * number,
                "y": 0,
                "sharpness": float(number),
            }
            shard, index = tile_writer.append(original)
            tile_id, pair_id = f"t{number}", f"t{number}-0"
            tiles.append({"id": tile_id, "split": "test", "shard": shard, "index": index, **place})
            low = halve(original)
            entropies = dict(
                zip(("entropy_blur", "entropy_jpeg"), generator.random(2), strict=True)
            )
            low_shard, low_index = pair_writer.append(low)
            pairs.append(
                {"id": pair_id, "split": "test", "shard": low_shard, "index": low_index}
                | {"tile_id": tile_id, "tile_shard": shard, "tile_index": index, **place}
                | {"variant": 0, **entropies}
            )
            bicubic = upsample(low, original.shape[:2], "bicubic")
            estimate = bicubic + generator.uniform(-0.05, 0.4) * (original - bicubic.astype(float))
            noise = generator.normal(0, 6, original.shape)
            versions = {
                "model": estimate + noise,
                "estimate": estimate,
                "mean": estimate + noise / 2,
                "bicubic": bicubic,
                "bilinear": upsample(low, original.shape[:2], "bilinear"),
                "lanczos": upsample(low, original.shape[:2], "lanczos"),
            }
            for name, version in versions.items():
                restored = np.clip(version, 0, 255).round().astype(np.uint8)
                figures = measure_tile(restored, original, low, halve)
                measured.append({"id": pair_id, **place, **entropies, "contender": name, **figures})
                if name in ("model", "estimate", "mean"):
                    where = sample_writer.append(restored)
                    samples.append(
                        {"id": pair_id, "split": "test", "contender": name}
                        | {"shard": where[0], "index": where[1], "source": place["source"]}
                    )
    swd = {"model": 1.05, "estimate": 1.5, "mean": 1.3, "bicubic": 1.9, "bilinear": 2.25}
    for name in versions:
        for size, share in ((32, 1.2), (16, 0.8)):
            distance = share * swd.get(name, 1.86)
            distances += [{"contender": name, "level_px": size, "swd": distance}]
    per_tile = pd.DataFrame(measured).drop(columns="sharpness")
    notes = absence_notes(list(versions), reason_and_remedy(MISSING, False))
    sets = {name: without_features() for name in versions}
    params = load_section("evaluate", EvaluateParams, ROOT / "params.yaml")
    write_figures(reports, per_tile, pd.DataFrame(distances), sets, notes, {}, params)
    for name, rows in (("tiles", tiles), ("pairs", pairs), ("samples", samples)):
        write_csv(data / name / "manifest.csv", pd.DataFrame(rows))
    write_json(data / "samples" / "sampling.json", _sampling())
    write_csv(reports / "photographs.csv", _photographs(sources))
    _write_curves(reports, generator)
    return root


def _sampling():
    model = {"step": 1200, "parameters": 700_000, "trained_on": {"tiles": 900, "photographs": 6}}
    return {
        "sampler": "ddpm",
        "steps": 50,
        "evaluations": 50,
        "eta": 0.0,
        "repeats": 2,
        "scale": 2,
        "entropies": ["blur", "jpeg"],
        "model": model,
    }


def _photographs(sources):
    rows = [
        {"source": name, "status": "used", "reason": "", "split": "test"}
        | {"width": 400, "height": 300, "tiles": 3, "dropped": 0, "thinned": 0}
        for name in sources
    ]
    rows.append(
        {"source": "astronaut.png", "status": "used", "reason": "", "split": "train"}
        | {"width": 512, "height": 512, "tiles": 200, "dropped": 25, "thinned": 7}
    )
    rows.append(
        {"source": "<b>broken</b>.jpg", "status": "left out", "reason": "cannot be decoded"}
        | {"split": "", "width": None, "height": None, "tiles": 0, "dropped": 0, "thinned": 0}
    )
    return pd.DataFrame(rows)


def _selection():
    """Candidates as the stage `select` writes them: several averages of each checkpoint."""
    rows = [
        {"step": step, "ema": ema, "psnr_estimate": psnr + more, "psnr_sample": psnr - 1.4 + more}
        | {"appearance": psnr - 2.0 + more}
        | {"swd": swd - more, "fid": None, "val_loss": 0.1 - more, "difference": psnr + more - 29.3}
        | {"low": psnr + more - 29.5, "high": psnr + more - 29.1}
        for step, psnr, swd in ((400, 28.6, 1.9), (800, 29.0, 1.5), (1200, 29.2, 1.32))
        for ema, more in (("classic", 0.0), ("0.05", 0.02), ("0.15", 0.1))
    ]
    table = pd.DataFrame(rows)
    table["tie"] = (table["high"] >= 0).astype(int)
    table["chosen"] = 0
    table.loc[table["tie"].to_numpy().nonzero()[0][0], "chosen"] = 1
    return table


def _write_curves(reports, generator):
    steps = np.arange(20, 1601, 20)
    loss = 0.4 * np.exp(-steps / 300) + 0.08 + 0.03 * generator.random(len(steps))
    train = pd.DataFrame({"step": steps, "loss": loss, "learning_rate": 1e-3})
    train["val_loss"] = np.where(steps % 400 == 0, loss + 0.02, np.nan)
    train["vb"], train["gradient_norm"] = 0.02 * loss, 0.5 + loss
    for number in range(4):
        train[f"loss_q{number}"] = loss * (number + 1) / 2.5
    write_csv(reports / "train.csv", train)
    write_csv(reports / "selection.csv", _selection())
    quality = {
        "sampler": ["ddpm"] * 6,
        "spacing": ["linear"] * 6,
        "steps": [1, 2, 5, 10, 25, 50],
        "evaluations": [1, 2, 5, 10, 25, 50],
        "psnr": [29.26, 29.2, 28.8, 28.2, 27.6, 27.1],
        "ssim": [0.76, 0.76, 0.75, 0.73, 0.7, 0.69],
        "swd": [1.51, 1.5, 1.42, 1.34, 1.15, 1.04],
    }
    write_csv(reports / "explore" / "steps.csv", pd.DataFrame(quality))
    larger = {
        "size": [1, 2],
        "edge_px": [32, 64],
        "gain": [-0.6, -0.5],
        "gain_estimate": [0.7, 0.8],
        "swd": [1.1, 1.1],
        "swd_estimate": [1.5, 1.4],
    }
    write_csv(reports / "explore" / "sizes.csv", pd.DataFrame(larger))
    cells = [[smooth_noise(5 * row + column, 64) for column in range(5)] for row in range(2)]
    grid = draw_grid(cells, ["0", "<1>"], list("01234"), "blur told", "jpeg told")
    (reports / "explore" / "entropies.png").write_bytes(grid)
    Image.fromarray(np.concatenate(cells[0], axis=1)).save(reports / "explore" / "plain.png")
    captions = {"entropies.png": "Correction told to the model: blur across, <jpeg> down."}
    captions["plain.png"] = "A picture of another kind."
    told = {"pictures": captions, "notes": ["Pictures of 4 x 4 tiles were left out."]}
    (reports / "explore" / "explore.json").write_text(json.dumps(told))
