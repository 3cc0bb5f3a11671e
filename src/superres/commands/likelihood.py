"""`superres likelihood`: bits per dimension of the test tiles, term by term."""

from __future__ import annotations

import argparse
from pathlib import Path

from superres.core.device import pick_device
from superres.core.errors import SuperresError
from superres.core.storage import replacing_folder, write_csv
from superres.degradation.dataset import PairSet
from superres.explore.bits_per_dim import measure_bits
from superres.model.folder import load_model
from superres.model.spec import is_student
from superres.sampling.spacing import check_steps


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add = parser.add_argument
    add("out", type=Path, metavar="OUT_DIR", help="folder for timesteps.csv and tiles.csv")
    add("--model", default="models/best", help="model folder (default %(default)s)")
    add("--tiles", default="data/tiles", help="folder of tiles (default %(default)s)")
    add("--pairs", default="data/pairs", help="folder of pairs (default %(default)s)")
    add("--split", choices=["train", "val", "test"], default="test", help="default %(default)s")
    add("--count", type=int, default=64, help="tiles, spread evenly (default %(default)s)")
    add(
        "--steps",
        type=int,
        default=100,
        help="timesteps of the bound, an evaluation each; all of them give the tightest "
        "(default %(default)s)",
    )
    add("--batch", type=int, default=16, help="tiles per evaluation (default %(default)s)")
    add("--seed", type=int, default=0, help="of the noise (default %(default)s)")
    add("--overwrite", action="store_true", help="replace a folder that exists")


def run(args: argparse.Namespace) -> int:
    """Measure, write the tables, print the bound and its parts."""
    for name in ("count", "steps", "batch"):
        if getattr(args, name) < 1:
            raise SuperresError(f"--{name}: must be at least 1, got {getattr(args, name)}")
    if args.out.exists() and not args.overwrite:
        raise SuperresError(f"{args.out}: exists already; --overwrite replaces it")
    model = load_model(args.model, pick_device())
    if is_student(args.model):
        raise SuperresError(
            f"{args.model}: a student, distilled for the few timesteps that it samples at, has no "
            "bound over all of them; its teacher has"
        )
    pairs = PairSet(args.tiles, args.pairs, args.split)
    model.check_pairs(pairs.scale, pairs.entropy_names, args.model)
    limit = model.diffusion.timesteps
    check_steps("--steps", args.steps, model.diffusion)
    by_timestep, by_tile = measure_bits(model, pairs, args.count, args.steps, args.batch, args.seed)
    with replacing_folder(args.out) as partial:
        write_csv(partial / "timesteps.csv", by_timestep)
        write_csv(partial / "tiles.csv", by_tile)
    print(f"{len(by_tile)} tiles of {args.split}, {len(by_timestep)} of {limit} timesteps")
    for part in ("bits", "decoder", "between", "prior"):
        print(f"  {part:8} {by_tile[part].mean():8.4f} bits per dimension")
    return 0
