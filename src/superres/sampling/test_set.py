"""Restoring the test tiles, as the `sample` stage does, by any number of processes.

Whole batches are dealt out to the processes. Each keeps what it has restored in files of its own,
reading and writing beside the computing; the first joins them to one folder. Noise belongs to a
tile, so neither the number of processes nor being killed and going on changes a byte on a CPU.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from superres.core.distributed import Processes, connected, entered_by_first, on_first
from superres.core.errors import SuperresError
from superres.core.fingerprints import fingerprint, source_digests
from superres.core.hashing import sha256_of
from superres.core.overlapping import overlapped
from superres.core.precision import Computing, remark
from superres.core.progress import progress_bar
from superres.core.storage import MANIFEST, ShardWriter, replacing_folder, write_csv, write_json
from superres.core.tensors import to_levels
from superres.core.unfinished import Unfinished
from superres.degradation.dataset import PairSet
from superres.model.folder import WEIGHTS, is_model, load_model, read_spec
from superres.model.resolver import SuperResolver
from superres.model.spec import ModelSpec
from superres.sampling.batch import Batch, Sampling
from superres.sampling.config import SamplerParams
from superres.sampling.finished_batches import FinishedBatches
from superres.sampling.spacing import check_steps


def restore_tiles(
    params: SamplerParams,
    model_folder: str | Path,
    tiles: str | Path,
    pairs: str | Path,
    out: str | Path,
    student_folder: str | Path | None = None,
) -> dict[str, int]:
    """Restore every test pair: one sample, the estimate, and the mean where repeats > 1.

    Finished batches are kept in `.progress` beside `out` until all are there: a killed sampling of
    the same params, model, data and code goes on from them, with any number of processes.

    Args:
        params: sampler, steps, repeats.
        model_folder: the model.
        tiles: folder of tiles.
        pairs: folder of pairs.
        out: folder of restored tiles: shards named after the contender, a manifest with a row per
            contender and tile, and `sampling.json`: the sampler's params, and `evaluations`, how
            often the network was evaluated for each sample of a tile, with those of guidance.
        student_folder: where it is a model folder, that model restores instead, by the sampler,
            steps and spacing that it was distilled for in the place of those of `params`.

    Returns:
        Facts for the timing table.

    Raises:
        SuperresError: a model that does not fit the pairs, more steps than it was trained on,
            nowhere to write, or the same sampling is at work already.
    """
    if student_folder is not None and is_model(student_folder):
        model_folder = student_folder
        params = _as_distilled(params, read_spec(model_folder))
    with connected(apple=True) as processes:
        how = Computing(params.precision, params.compile)
        about = remark("sampler.precision", params.precision, processes.device)
        if about is not None and processes.writes:
            print(f"sample: {about}", file=sys.stderr)
        model = load_model(model_folder, processes.device, how)
        test = PairSet(tiles, pairs, "test")
        model.check_pairs(test.scale, test.entropy_names, model_folder)
        check_steps("params.yaml: sampler.steps", params.steps, model.diffusion)
        # Not the weights' edges alone, which fine-tuning may leave; and no mixture of two codes.
        versions = sha256_of(Path(model_folder) / WEIGHTS), *source_digests().values()
        name = fingerprint([params], [model_folder, tiles, pairs], *versions)
        unfinished = Unfinished(Path(out).parent / ".progress", name, "sampling")
        sampler = _TestSet(params, model, test, processes, unfinished)
        with entered_by_first(processes, unfinished.locked()):
            images = sampler.restore()
            on_first(processes, partial(sampler.publish, Path(out)))
    return {"images": images}


def _as_distilled(params: SamplerParams, student: ModelSpec) -> SamplerParams:
    """Return params with the sampler, steps and spacing that a student was distilled for.

    Raises:
        SuperresError: guidance, which none was distilled for.
    """
    own = student.sampling
    if own is None:
        return params
    if params.guidance.scale:
        raise SuperresError(
            f"params.yaml: sampler.guidance.scale: must be 0 for a student, got "
            f"{params.guidance.scale}"
        )
    sampling = {"name": own.sampler, "steps": own.steps, "spacing": own.spacing, "eta": 0.0}
    return SamplerParams.model_validate(params.model_dump() | sampling)


class _Given(NamedTuple):
    """What a batch of pairs is restored from."""

    low: np.ndarray
    entropies: np.ndarray
    ids: list[str]


class _TestSet:
    """The test pairs, restored by this process and its peers; see `restore_tiles`."""

    def __init__(
        self,
        params: SamplerParams,
        model: SuperResolver,
        test: PairSet,
        processes: Processes,
        unfinished: Unfinished,
    ) -> None:
        self._params, self._model, self._test = params, model, test
        self._processes, self._unfinished = processes, unfinished
        self._names = ["model", "estimate"] + (["mean"] if params.repeats > 1 else [])
        height, width, channels = test.low_at(0).shape
        shape = (height * test.scale, width * test.scale, channels)
        self._kept = FinishedBatches(
            unfinished.folder, len(test), params.batch, len(self._names), shape
        )
        self._way = Sampling(
            params.name,
            params.steps,
            params.spacing,
            params.eta,
            params.temperature,
            params.guidance.scale,
            params.guidance.ramp,
            tuple(params.guidance.drop),
            **params.finishing(),
        )

    def restore(self) -> int:
        """Restore this process's share of what is left to do, and wait for the others'.

        Returns:
            how many samples all processes have drawn.
        """
        params, processes, kept = self._params, self._processes, self._kept
        # The first one's word, since a quick process may have finished more when another looks.
        finished = processes.of_first(kept.finished() if processes.writes else [False] * kept.count)
        left = [number for number, done in enumerate(finished) if not done]
        self._print_progress(len(finished) - len(left), len(finished))
        mine = processes.deal(left)
        steps = params.repeats * params.steps
        total = sum(len(kept.items[number]) for number in mine) * steps
        label = "sample" if processes.count == 1 else f"sample, first of {processes.count}"
        with progress_bar(total, label, "step", disable=not processes.writes) as bar:
            overlapped(
                mine,
                read=lambda number: self._read(kept.items[number]),
                compute=lambda given: self._restored(given, bar),
                write=lambda number, made: kept.save(number, [one.cpu().numpy() for one in made]),
            )
        processes.wait()
        return sum(len(kept.items[number]) for number in left) * params.repeats

    def publish(self, out: Path) -> None:
        """Join all batches to the folder of restored tiles, then forget the progress."""
        parts: list[pd.DataFrame] = []
        with replacing_folder(out) as partial:
            writers = {name: ShardWriter(partial, name) for name in self._names}
            for number, items in enumerate(self._kept.items):
                rows = self._test.rows.iloc[items]
                for name, pictures in zip(self._names, self._kept.load(number), strict=True):
                    shards, indices = writers[name].extend(pictures)
                    parts.append(
                        pd.DataFrame(
                            {
                                "id": rows["id"],
                                "split": "test",
                                "contender": name,
                                "shard": shards,
                                "index": indices,
                                "source": rows["source"],
                            }
                        )
                    )
            for writer in writers.values():
                writer.close()
            write_csv(partial / MANIFEST, pd.concat(parts))
            write_json(partial / "sampling.json", self._described())
        self._unfinished.discard()

    def _read(self, items: np.ndarray) -> _Given:
        test = self._test
        return _Given(test.low(items), test.entropies(items), test.ids(items))

    def _restored(self, given: _Given, bar: tqdm) -> list[Tensor]:
        """Return what each contender makes of a batch of pairs, uint8, (B, H, W, 3).

        They stay on the device: whoever writes them waits for it, while the next batch begins.
        """
        params = self._params
        batch = Batch(self._model, given.low, given.entropies, given.ids, params.seed)
        samples = [
            batch.sample(self._way, repeat, lambda *_: bar.update(len(given.ids)))
            for repeat in range(params.repeats)
        ]
        restored = [to_levels(samples[0]), to_levels(batch.estimate())]
        if params.repeats > 1:
            restored.append(to_levels(torch.stack(samples).mean(0)))
        return restored

    def _described(self) -> dict[str, object]:
        params, spec = self._params, self._model.spec
        own = {"student": True} if spec.sampling is not None and spec.sampling.student else {}
        return {
            **own,
            "sampler": params.name,
            "steps": params.steps,
            "evaluations": self._way.evaluations,
            "spacing": params.spacing,
            "eta": params.eta,
            "guidance": params.guidance.model_dump(),
            "temperature": params.temperature,
            **params.finishing(),
            "repeats": params.repeats,
            "precision": params.precision,
            "compile": params.compile,
            "seed": params.seed,
            "scale": spec.scale,
            "entropies": spec.entropies,
            "model": spec.provenance,
        }

    def _print_progress(self, finished: int, count: int) -> None:
        """Say once, on standard error, what is taken up or lies about."""
        if not self._processes.writes:
            return
        if finished:
            print(f"sample: going on, {finished} of {count} batches are finished", file=sys.stderr)
        elif others := self._unfinished.others():
            mebibytes = self._unfinished.size_of_others() / 2**20
            print(
                f"sample: starting afresh; {len(others)} unfinished sampling(s) of other params, "
                f"data, models or code stay in {self._unfinished.root} ({mebibytes:.1f} MiB); "
                "delete them there if none of them shall go on",
                file=sys.stderr,
            )
