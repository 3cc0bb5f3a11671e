"""Put the model and the estimator of a finished run into the package.

    PYTHONPATH=src python tools/release_box.py RUN [--student-fidelity 0.85]
        [--student-coring 8.0]

With the run's student, if it has one (`distill.steps`), for `superres restore --fast`; it keeps
fidelity and coring of its teacher or gets those that are given. Weights become fp16, half as large;
how far that moves restored pictures is printed. What the run was trained on and how goes into
docs/model-card.md by hand.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from superres.core.state_dicts import save_tensors
from superres.core.storage import replacing_folder
from superres.entropy.estimator import DESCRIPTION as ENTROPY_DESCRIPTION
from superres.model.folder import (
    DESCRIPTION,
    WEIGHTS,
    is_model,
    read_spec,
    read_weights,
    save_student,
)
from superres.model.found import BOX, ESTIMATOR
from superres.model.spec import SamplingSpec
from superres.restoration.restorer import load

LIMIT_MB = 10.0
"""Of both together, so that the wheel stays below 12."""


def halve(source: Path, target: Path, description: str) -> None:
    """Copy a folder of weights and a description, the weights in fp16."""
    tensors = load_file(source / WEIGHTS)
    with replacing_folder(target) as new:
        (new / description).write_bytes((source / description).read_bytes())
        save_tensors({name: tensor.half() for name, tensor in tensors.items()}, new / WEIGHTS)


def add_student(student: Path, teacher: Path, target: Path, own: dict[str, float]) -> None:
    """Put a student's weights, where they differ from its teacher's, into a folder, in fp16.

    Args:
        student: a model folder.
        teacher: likewise.
        target: likewise.
        own: what the student samples with in place of its teacher's, by name.
    """
    spec, before = read_spec(student), read_weights(teacher)
    changed = {
        name: tensor.half()
        for name, tensor in read_weights(student).items()
        if not torch.equal(tensor, before[name])
    }
    if spec.sampling is None or not spec.sampling.student:
        raise SystemExit(f"{student}: not a student")
    sampling = SamplingSpec.model_validate(spec.sampling.model_dump() | own)
    save_student(target, sampling, changed)


def largest_difference(before: Path, after: Path) -> tuple[int, float]:
    """Return the largest and the mean difference, in levels, that fp16 makes to an estimate."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    pictures = [
        load(folder, device="cpu").restore(noise, estimate=True) for folder in (before, after)
    ]
    difference = np.abs(pictures[0].astype(int) - pictures[1])
    return int(difference.max()), float(difference.mean())


def main() -> None:
    """Release."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("run", type=Path)
    parser.add_argument("--student-fidelity", type=float)
    parser.add_argument("--student-coring", type=float)
    args = parser.parse_args()
    run = args.run
    best, estimator = run / "models/best", run / "models" / ESTIMATOR
    halve(best, BOX, DESCRIPTION)
    student = run / "models/student"
    if is_model(student):
        asked = {"fidelity": args.student_fidelity, "coring": args.student_coring}
        own = {name: value for name, value in asked.items() if value is not None}
        add_student(student, best, BOX, own)
    halve(estimator, BOX.parent / ESTIMATOR, ENTROPY_DESCRIPTION)
    size = sum(file.stat().st_size for file in BOX.parent.rglob("*") if file.is_file()) / 1e6
    most, mean = largest_difference(best, BOX)
    print(
        f"{BOX.parent}: {size:.2f} MB; fp16 moves an estimate of noise by {most} levels at most, "
        f"{mean:.4f} on average"
    )
    if size > LIMIT_MB:
        raise SystemExit(f"larger than {LIMIT_MB} MB")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
