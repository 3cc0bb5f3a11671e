"""Where the processor time of `superres restore` goes: the table in docs/restore.md.

PYTHONPATH=src python -m benchmarks.restoring_time           # astronaut, 10 steps, 3 rounds
PYTHONPATH=src python -m benchmarks.restoring_time 10 3 MODEL OTHER/src   # another tree in turns

Whole commands in processes of their own, one thread, the model in the box unless another is named.
What they take as a whole is measured without a profiler, beginning and end by a command that
restores nothing, the rest by a profiler that counts processor time.
"""

from __future__ import annotations

import os
import pstats
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

SOURCE = Path(__file__).resolve().parent.parent / "src"
PROFILED = """
import cProfile, sys, time
import superres.commands.restore
from superres.cli import main
profile = cProfile.Profile(time.process_time)
profile.runcall(main, sys.argv[2:])
profile.dump_stats(sys.argv[1])
"""
NETWORK = ("resolver.py", ("conditions", "__call__"))
LAYERS = {"norms": ("layer_norm", "addcmul"), "activations": ("silu",)}
"""What is told apart in the network beside convolutions, by parts of its operations' names."""
PARTS = {
    "limits: flat white and black, decoding and encoding for them": ("tiled.py", ("_clipped",)),
    "finding flat white and black": ("extremes.py", ("of",)),
    "fidelity's filter": ("finishing.py", ("_smoothed",)),
    "decoding at the end": ("tiled.py", ("_decoded",)),
    "windows: cutting and blending": ("tiled.py", ("_add", "_noisy", "_blend")),
    "noise": ("noise.py", ("__call__",)),
    "reading": ("picture_files.py", ("read_picture",)),
    "writing": ("picture_files.py", ("write_picture",)),
    "loading the model": ("restorer.py", ("load",)),
}
"""What is told apart outside of it: a file, and functions that none of the others call."""


def main() -> None:
    """Measure and print a table."""
    words = sys.argv[1:]
    steps, rounds = (int(text) for text in (*words[:2], *("10", "3")[len(words[:2]) :]))
    model = Path(words[2]) if len(words) > 2 else SOURCE / "superres/box/model"
    trees = [SOURCE, *(Path(word).resolve() for word in words[3:])]
    with tempfile.TemporaryDirectory() as name:
        command = ["restore", f"{name}/in.png", f"{name}/out.png", "--overwrite"]
        command += ["--blur", "0.4", "--jpeg", "0.4", "--steps", str(steps), "--model", str(model)]
        write_picture(Path(command[1]))
        taken: list[list[dict[str, float]]] = [[] for _ in trees]
        for _ in range(rounds):
            for tree, rows in zip(trees, taken, strict=True):
                rows.append(measured(tree, command, Path(name)))
    columns = [
        {what: statistics.median(row[what] for row in rows) for what in rows[0]} for rows in taken
    ]
    print("| processor time, s |" + "".join(f" {tree} |" for tree in trees))
    print("|---" * (1 + len(trees)) + "|")
    for what in columns[0]:
        print(f"| {what} |" + "".join(f" {column[what]:.2f} |" for column in columns))
    shares = [column["convolutions"] / column["the command as a whole"] for column in columns]
    print("| share of convolutions |" + "".join(f" {100 * share:.0f} % |" for share in shares))


def write_picture(path: Path) -> None:
    """Write a photograph of 512 x 512 px with some black in it."""
    from skimage import data  # noqa: PLC0415 - takes longer to import than the rest together

    Image.fromarray(data.astronaut()).save(path)


def measured(tree: Path, command: list[str], folder: Path) -> dict[str, float]:
    """Return processor seconds by what they were spent on, of the command and its parts."""
    python = [sys.executable, "-c"]
    start = spent(tree, [sys.executable, "-m", "superres", "restore", "--help", *command[-2:]])
    whole = spent(tree, [sys.executable, "-m", "superres", *command])
    spent(tree, [*python, PROFILED, f"{folder}/profile", *command])
    profile = pstats.Stats(f"{folder}/profile")
    stats = profile.stats  # type: ignore[attr-defined]
    network = called(stats, *NETWORK)
    rows = {"the command as a whole": whole, "beginning and end": start}
    rows["convolutions"] = operations(stats, ("conv2d",), leave_out=PARTS["fidelity's filter"][0])
    rows |= {what: operations(stats, names) for what, names in LAYERS.items()}
    rows["all else in the network"] = network - sum(list(rows.values())[2:])
    rows |= {what: called(stats, *place) for what, place in PARTS.items()}
    known = sum(called(stats, *place) for place in PARTS.values())
    rows["all else"] = profile.total_tt - network - known  # type: ignore[attr-defined]
    return rows


def spent(tree: Path, command: list[str]) -> float:
    """Return the processor seconds of a command with a checkout's code, one thread."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def called(stats: dict, file: str, functions: tuple[str, ...]) -> float:
    """Return the seconds of functions of a file, all that they call included."""
    return sum(
        cumulative
        for (path, _, name), (_, _, _, cumulative, _) in stats.items()
        if Path(path).name == file and name in functions
    )


def operations(stats: dict, names: tuple[str, ...], leave_out: str = "") -> float:
    """Return the seconds of torch's operations, unless a file to leave out calls them."""
    return sum(
        own
        for (path, _, name), (*_, callers) in stats.items()
        if path == "~" and any(part in name for part in names)
        for (caller, _, _), (_, _, own, _) in callers.items()
        if Path(caller).name != leave_out
    )


if __name__ == "__main__":
    main()
