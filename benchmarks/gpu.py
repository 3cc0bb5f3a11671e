"""What is measured on one GPU, in at most eight minutes; needs this repository and torch alone.

    python benchmarks/gpu.py                        # a table, and JSON in benchmarks/results
    python benchmarks/gpu.py --no-compile           # minutes less
    python benchmarks/gpu.py --tiny --device cpu    # the same at sizes that say nothing

Shares are of the card's dense bf16 peak as its maker gives it, or, for a card that is not listed,
of the rate of a bf16 matrix product in the same run. What did not fit into the time or does not
exist on the device is listed in the end and in the JSON, under `left_out`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "src"))

from benchmarks.gpu_loading import loading_rows  # noqa: E402
from benchmarks.gpu_sampling import picture_rows, sampling_rows  # noqa: E402
from benchmarks.gpu_training import training_rows  # noqa: E402
from benchmarks.measuring import Row, interleaved, matrix_product, rate_of, show, write  # noqa: E402

PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "RTX 4090": 165e12}
"""Dense bf16 FLOP/s with fp32 sums by a part of the card's name, from the makers' data sheets."""


class Plan(NamedTuple):
    """How much is measured."""

    edge: int
    """Of the matrices whose product is timed."""
    small: str
    """Network of training and sampling in batches."""
    large: str
    """Network of the memory and of one picture."""
    batch: int
    steps: int
    rounds: int


FULL = Plan(8192, "recipe-128", "recipe-256", 32, 50, 5)
TINY = Plan(64, "tiny", "tiny", 2, 2, 1)
MICRO_BATCH = 8
"""Of the large network, whose peak memory is asked for."""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="sizes that say nothing: for tests")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--minutes", type=float, default=8.0, help="nothing begins after 3/4")
    parser.add_argument("--out", type=Path, help="JSON file; default: by date and hardware")
    asked = parser.parse_args()
    device = torch.device(asked.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit("gpu.py: no CUDA device here; --device cpu --tiny tries the script itself")
    plan = TINY if asked.tiny else FULL
    left_out: list[str] = []
    rows, peak = peak_rows(device, plan.edge)
    show(rows)
    begin = time.perf_counter()
    compiled = not asked.no_compile
    sections: list[Callable[[], list[Row]]] = [
        lambda: training_rows(plan.small, plan.batch, plan.rounds, device, peak),
        lambda: sampling_rows(plan.small, plan.batch, plan.steps, plan.rounds, device),
        lambda: training_rows(plan.large, MICRO_BATCH, plan.rounds, device, peak, plain=False),
        lambda: picture_rows(plan.large, plan.steps, plan.rounds, device, left_out),
        lambda: loading_rows(plan.small, plan.batch, plan.rounds, device, left_out),
    ]
    names = ["training", "sampling", "large training", "one picture", "loader"]
    if compiled:
        sections += [
            lambda: training_rows(
                plan.small, plan.batch, plan.rounds, device, peak, plain=False, compiled=True
            ),
            lambda: training_rows(
                plan.large, MICRO_BATCH, plan.rounds, device, peak, plain=False, compiled=True
            ),
            lambda: picture_rows(plan.large, plan.steps, plan.rounds, device, [], compiled=True),
        ]
        names += ["training, compiled", "large training, compiled", "one picture, compiled"]
    else:
        left_out.append("torch.compile: not asked for")
    for name, section in zip(names, sections, strict=True):
        if time.perf_counter() - begin > 0.75 * 60 * asked.minutes:
            left_out.append(f"{name}: no time left")
            continue
        made = section()
        show(made)
        rows += made
        if device.type == "cuda":
            torch.cuda.empty_cache()
    rows.append(Row("this benchmark", "s", [time.perf_counter() - begin]))
    for reason in left_out:
        print(f"left out: {reason}")
    print(write("gpu", rows, device, left_out, asked.out))


def peak_rows(device: torch.device, edge: int) -> tuple[list[Row], float]:
    """Return rows of matrix products, and the FLOP/s of which shares are taken."""
    rows, product = [], 0.0
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        times = interleaved({"": matrix_product(device, dtype, edge)}, 10, device, warm=3)[""]
        rates = [2 * edge**3 / value / 1e12 for value in times]
        rows.append(Row(f"matrix product {edge}, {name}", "TFLOP/s", rates))
        product = rate_of(2 * edge**3, times)
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    known = [peak for part, peak in PEAKS.items() if part in card]
    peak = known[0] if known else product
    return [*rows, Row("dense bf16 peak", "TFLOP/s", [peak / 1e12])], peak


if __name__ == "__main__":
    main()
