"""Everything that is measured on a CPU, in at most five minutes: `make bench`.

PYTHONPATH=src python -m benchmarks.cpu           # a table, and JSON in benchmarks/results
PYTHONPATH=src python -m benchmarks.cpu --tiny    # the same at sizes that say nothing
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from benchmarks.evaluations import Evaluation, evaluation_rows, sampling_rows
from benchmarks.measuring import Row, show, write
from benchmarks.pipeline import data_rows, read_params, training_rows, using_rows
from benchmarks.starting import app_rows, dvc_rows, start_rows
from superres.config.check import Params
from superres.core.device import pick_device

FULL = SimpleNamespace(photographs=8, edge=512, rounds=3, steps=15, picture=256, batch=16)
TINY = SimpleNamespace(photographs=6, edge=128, rounds=1, steps=1, picture=40, batch=2)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="sizes that say nothing: for tests")
    parser.add_argument("--minutes", type=float, default=5.0, help="nothing begins after 3/4")
    parser.add_argument("--out", type=Path, help="JSON file; default: by date and hardware")
    asked = parser.parse_args()
    sizes = TINY if asked.tiny else FULL
    os.environ["SUPERRES_OFFLINE"] = "1"
    device, params = pick_device("cpu"), read_params()
    begin = time.perf_counter()
    rows: list[Row] = []
    left_out: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        for what, section in sections(Path(name), params, sizes, asked.tiny).items():
            if time.perf_counter() - begin > 0.75 * 60 * asked.minutes:
                left_out.append(f"{what}: no time left")
                continue
            with contextlib.redirect_stdout(io.StringIO()):  # what the stages say of their own
                made = section()
            show(made)
            rows += made
    rows.append(Row("this benchmark", "s", [time.perf_counter() - begin]))
    show(rows[-1:])
    for reason in left_out:
        print(f"left out: {reason}")
    print(write("cpu", rows, device, left_out, asked.out))


def sections(
    folder: Path, params: Params, sizes: SimpleNamespace, tiny: bool
) -> dict[str, Callable[[], list[Row]]]:
    """Return what is measured, by name; later parts use what earlier ones left in the folder."""
    small, large = ("tiny", "tiny") if tiny else ("default", "guided-23M")
    made: dict[str, Callable[[], list[Row]]] = {
        "evaluations": lambda: evaluation_rows(
            Evaluation(large, 2 if tiny else 8, 2 * sizes.rounds)
        ),
        "start": lambda: start_rows(sizes.rounds) + app_rows(sizes.rounds),
        "dvc": lambda: dvc_rows(folder, sizes.rounds),
        "data": lambda: data_rows(folder, params, sizes),
        "training": lambda: training_rows(folder, params, sizes),
        "using": lambda: using_rows(folder, params, sizes),
    }
    if not tiny:
        made["small evaluations"] = lambda: evaluation_rows(Evaluation(small, 16, 15))
    made["sampling"] = lambda: sampling_rows(small, sizes.batch, 2 if tiny else 20, sizes.rounds)
    if not tiny:
        made["large sampling"] = lambda: sampling_rows(large, 4, 3, sizes.rounds)
    return made


if __name__ == "__main__":
    main()
