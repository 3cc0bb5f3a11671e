"""A training step on a CPU: memory orders in turns, and how idle threads wait.

PYTHONPATH=src python -m benchmarks.training_step orders            # both memory orders, one thread
PYTHONPATH=src python -m benchmarks.training_step waiting           # GOMP_SPINCOUNT, two threads
PYTHONPATH=src python -m benchmarks.training_step waiting --loaded  # beside busy processes
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.measuring import Row, show
from benchmarks.training_memory import spec_of
from superres.config.check import check_params
from superres.core.device import pick_device
from superres.model.folder import SuperResolver
from superres.training.data import TrainingBatch
from superres.training.objectives import make_objective

ROOT = Path(__file__).resolve().parent.parent
PRESETS = ("default", "small-unet")
SPINS = ("0", "3000", "10000", "30000", "300000")
"""Of GOMP_SPINCOUNT, how often idle threads look for work before they sleep, about 100 times in a
microsecond; the first is a passive OMP_WAIT_POLICY, the last OpenMP's own where none is named."""
BUSY = "while True: pass"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("orders", "waiting", "one"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, help="tiles; default: the preset's")
    parser.add_argument("--threads", type=int, default=2, help="of `waiting`")
    parser.add_argument("--loaded", action="store_true", help="a busy process on every core")
    asked = parser.parse_args()
    if asked.what == "orders":
        torch.set_num_threads(1)
        for preset in PRESETS:
            for precision in ("fp32", "bf16"):
                show(order_rows(preset, precision, asked.rounds, asked.batch))
    elif asked.what == "waiting":
        show(waiting_rows(asked.threads, asked.rounds, asked.batch, asked.loaded))
    else:  # a process of `waiting`
        one = step_of("default", "fp32", True, asked.batch)
        one()
        print(" ".join(str(_wall(one)) for _ in range(asked.rounds)))


def order_rows(preset: str, precision: str, rounds: int, batch: int | None) -> list[Row]:
    """Return processor seconds of a step in both memory orders, in turns."""
    steps = {last: step_of(preset, precision, last, batch) for last in (False, True)}
    taken: dict[bool, list[float]] = {False: [], True: []}
    for one in steps.values():
        one()
    for _ in range(rounds):
        for last, one in steps.items():
            begin = time.process_time()
            one()
            taken[last].append(time.process_time() - begin)
    ratio = statistics.median(taken[True]) / statistics.median(taken[False])
    return [
        Row(f"{preset}, {precision}: contiguous", "s", taken[False]),
        Row(f"{preset}, {precision}: channels last", "s", taken[True], facts={"ratio": ratio}),
    ]


def waiting_rows(threads: int, rounds: int, batch: int | None, loaded: bool) -> list[Row]:
    """Return seconds of a step by how OpenMP's threads wait, processes in turns."""
    taken: dict[str, list[float]] = {spins: [] for spins in SPINS}
    command = [sys.executable, "-m", "benchmarks.training_step", "one", "--rounds", "3"]
    command += [] if batch is None else ["--batch", str(batch)]
    busy = []
    try:
        for _ in range((os.cpu_count() or 1) if loaded else 0):
            busy.append(subprocess.Popen([sys.executable, "-c", BUSY]))
        for _ in range(rounds):
            for spins in SPINS:
                environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
                environment["GOMP_SPINCOUNT"] = spins
                done = subprocess.run(
                    command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
                )
                taken[spins].append(statistics.median(map(float, done.stdout.split())))
    finally:
        for process in busy:
            process.kill()
            process.wait()
    how = "loaded" if loaded else "nothing else"
    return [
        Row(f"{threads} threads, {how}: {spins} spins", "s", values)
        for spins, values in taken.items()
    ]


def step_of(preset: str, precision: str, last: bool, batch: int | None) -> Callable[[], object]:
    """Return a training step of a preset's network, on random tiles, as the stage does it."""
    params = check_params(ROOT / "presets" / f"{preset}.yaml")
    spec = spec_of(params)
    scale, edge = spec.scale, params.data.tile_size
    torch.manual_seed(0)
    model = SuperResolver(spec).to(pick_device("cpu"))
    if not last:
        model.network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    model.network.train()
    objective = make_objective(model, params.train.loss, precision)
    count = batch or params.train.batch
    nobody = torch.zeros(count, dtype=torch.bool)
    tiles = TrainingBatch(
        high=2 * torch.rand(count, 3, edge, edge) - 1,
        low=2 * torch.rand(count, 3, edge // scale, edge // scale) - 1,
        entropy=torch.rand(count, len(spec.entropies)),
        noise=torch.randn(count, 3, edge, edge),
        drop_low=nobody,
        drop_entropies=nobody,
        uniform=torch.rand(count, 2, dtype=torch.float64),
    )
    timesteps = torch.arange(count) * (params.diffusion.timesteps // count)
    adam = torch.optim.AdamW(model.network.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        adam.zero_grad(set_to_none=True)
        objective.terms(tiles, timesteps)["loss"].mean().backward()
        torch.nn.utils.clip_grad_norm_(model.network.parameters(), 1.0)
        adam.step()

    return step


def _wall(function: Callable[[], object]) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
