"""One training: data, network, objective, optimiser, averages; a step, and the state it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from superres.core.distributed import (
    SHARD_VARIABLE,
    Processes,
    divide,
    full_tensor,
    joined,
    local_part,
    on_first,
)
from superres.core.errors import SuperresError
from superres.core.params import NOISE
from superres.core.seeding import derive_seed
from superres.degradation.dataset import PairSet
from superres.diffusion.config import DiffusionParams
from superres.model.folder import ModelSpec, SuperResolver, save_model
from superres.networks.config import ModelParams
from superres.networks.protocol import Network
from superres.training import messages
from superres.training.checkpoint import State
from superres.training.config import TrainParams
from superres.training.data import (
    VALIDATION_TILES,
    Batches,
    FreshCorruptions,
    validation_batch,
)
from superres.training.ema import Averages
from superres.training.monitor import Fault, Health, Row, StepRecord, Window
from superres.training.objectives import Objective, make_objective, mean
from superres.training.optimizer import Optimizer
from superres.training.prefetch import Loader, passes_per_process, spans
from superres.training.start import starting_weights


class Trainer:
    """One training: its data, network, optimiser and how far it has come.

    Args:
        model: the network.
        diffusion: the process.
        train: optimisation.
        tiles: folder of tiles.
        pairs: folder of pairs.
        processes: this process among those of the training.
        make: makes the objective of the model, instead of what `train.loss` names. Weights from
            which it takes `requires_grad` stay as training begins.

    Raises:
        SuperresError: params that no network can be built from, data that do not fit, or a batch
            that the processes cannot share.
    """

    def __init__(
        self,
        model: ModelParams,
        diffusion: DiffusionParams,
        train: TrainParams,
        tiles: str | Path,
        pairs: str | Path,
        processes: Processes,
        make: Callable[[SuperResolver], Objective] | None = None,
    ) -> None:
        if processes.sharded and train.precision == "fp16":
            raise SuperresError(messages.fp16_not_sharded(SHARD_VARIABLE))
        if processes.sharded and train.muon.rate:
            raise SuperresError(messages.muon_not_sharded(SHARD_VARIABLE))
        self.params = train
        self.processes = processes
        self.device = processes.device
        self.passes = passes_per_process(train, processes)
        training, validation = PairSet(tiles, pairs, "train"), PairSet(tiles, pairs, "val")
        self.spec = ModelSpec(
            format="superres-1",
            model=model,
            diffusion=diffusion,
            scale=training.scale,
            entropies=list(training.entropy_names),
            degradation=training.degradation.to_json(),
            dropped=train.drop.dropped(),
            provenance={},
        )
        torch.backends.cuda.matmul.allow_tf32 = train.tf32
        torch.backends.cudnn.allow_tf32 = train.tf32
        torch.manual_seed(derive_seed(train.seed, "weights"))
        self.model = SuperResolver(self.spec)
        if train.start_from != NOISE:
            network = self.model.unwrapped
            start = starting_weights(
                self.spec, network, train.start_from, train.new_entropies, train.without_entropies
            )
            self.model.network.load_state_dict(start)
        self.model.to(self.device)
        self.provenance = {
            **({} if train.start_from == NOISE else {"start_from": train.start_from}),
            "photographs": int(training.rows["source"].nunique()),
            "tiles": int(training.rows["tile_id"].nunique()),
            "pairs": len(training),
            "batch": train.batch,
            "parameters": self.model.parameters(),
        }
        if make is None:
            self.objective = make_objective(self.model, train.loss, train.precision)
        else:
            self.objective = make(self.model)
        self._prepare_network()
        self.averages = Averages(self._local_weights(), train.averaging)
        self.optimizer = Optimizer(
            self.weights, self.model.unwrapped.block_convolutions(), train, self.device
        )
        fresh = FreshCorruptions(
            training.degradation, train.fresh_corruptions, train.seed, train.recolored
        )
        pinned = self.device.type == "cuda"
        self.batches = Batches(training, train.seed, train.drop, fresh, pinned, train.crop)
        self.validation = validation_batch(
            validation, validation.spread(VALIDATION_TILES), self.device
        )
        self.health = Health(
            train.bad_loss, train.precision == "fp16", clipped=train.clip_norm is not None
        )
        self.window = Window(diffusion.timesteps)
        self.step = 0
        self.skipped = 0
        self.loader = self._loader()

    def _prepare_network(self) -> None:
        network = self.model.network
        assert isinstance(network, Network)
        if not self.params.channels_last:
            network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        network.activation_checkpointing = self.params.activation_checkpointing
        if self.params.compile:
            network.compile()
        self.model.network = self.processes.prepare(
            network, network.shard_blocks(), methods=["prepare"]
        )
        # Under the names that the model's file has, whatever wraps the network.
        named = dict(network.named_parameters())
        self.weights = {name: weight for name, weight in named.items() if weight.requires_grad}
        self.frozen = {name: w.detach() for name, w in named.items() if not w.requires_grad}
        self._terms_named: list[str] = []

    def _loader(self) -> Loader:
        rows = spans(self.params, self.processes, self.step)
        return Loader(self.batches, rows, self.device)

    def advance(self) -> Fault | None:
        """Do one optimiser step; a bad one that is skipped changes nothing and is returned."""
        self.optimizer.begin(self.step)
        self.model.network.train()
        record, losses = self._accumulate()
        self.step += 1
        skipping = self.params.bad_loss.action == "skip"
        if skipping and (fault := self.health.examine(record, self.batches)):
            self.optimizer.leave_out()
            self.skipped += 1
            return fault
        # Once per step, not per part: how a batch is divided must not change what is drawn.
        self.objective.timesteps.learn(record.timesteps.long(), losses)
        self.optimizer.step()
        self.averages.update(self.step, self._local_weights())
        self.window.add(self._terms_named, record)
        return None

    def _accumulate(self) -> tuple[StepRecord, Tensor]:
        """Sum up the gradients of this process's passes.

        Returns:
            what the whole batch showed, and its losses without the weights of its timesteps, (B,).
        """
        parts: list[Tensor] = []
        drawn: list[Tensor] = []
        raw: list[Tensor] = []
        for number in range(self.passes):
            # Dropout is the only draw that a module makes for itself.
            index = self.processes.rank * self.passes + number
            torch.manual_seed(derive_seed(self.params.seed, "dropout", self.step, index))
            batch = next(self.loader)
            t, weights = self.objective.timesteps.draw(batch.uniform)
            with self.processes.accumulating(self.model.network, number == self.passes - 1):
                terms = self.objective.terms(batch, t)
                weighted = {name: term * weights.to(term.dtype) for name, term in terms.items()}
                self.optimizer.backward(weighted["loss"].mean() / self.passes)
            self._terms_named = list(weighted)
            parts.append(torch.stack([term.detach().float() for term in weighted.values()]))
            drawn.append(t)
            raw.append(terms["loss"].detach())
        gather = self.processes.gather
        norm = self.optimizer.clip()
        record = StepRecord(
            self.step + 1,
            gather(torch.cat(parts, dim=1)),
            gather(torch.cat(drawn)).float(),
            joined(norm),
        )
        return record, gather(torch.cat(raw))

    def check(self) -> Fault | None:
        """Return the first bad step of the window, if there is one; this waits for the device."""
        if self.params.bad_loss.action == "skip":
            return None
        faults = (self.health.examine(record, self.batches) for record in self.window.unseen())
        return next(filter(None, faults), None)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the average in the place of the weights for a block."""
        kept = {name: value.clone() for name, value in self._local_weights().items()}
        self.assign(self.averages.classic)
        self.model.network.eval()
        try:
            yield
        finally:
            self.assign(kept)

    def validation_loss(self) -> float:
        """Return the loss of the network as it is on fixed val pairs, timesteps and noise."""
        return mean(self.objective, self.validation, self.tiles_at_once)

    @property
    def tiles_at_once(self) -> int:
        """How many tiles the network gets in a pass: what is known to fit into memory."""
        return self.params.batch // (self.passes * self.processes.count)

    def _local_weights(self) -> dict[str, Tensor]:
        return {name: local_part(weight) for name, weight in self.weights.items()}

    def assign(self, values: Mapping[str, Tensor]) -> None:
        """Give this process's parts of the weights other values."""
        for name, part in self._local_weights().items():
            part.copy_(values[name])

    def _full(self, parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return full tensors by name, whose last component is a weight's; all must call this."""
        return {name: full_tensor(part, self._like(name)) for name, part in parts.items()}

    def _divided(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return this process's parts of full tensors; the inverse of `_full`."""
        return {
            name: divide(value.to(self.device), self._like(name)) for name, value in tensors.items()
        }

    def _like(self, name: str) -> Tensor:
        return self.weights[name.rpartition("/")[2]]

    def state(self, log: list[Row]) -> State:
        """Return all that the next step follows from; every process must call this.

        Tensors are full, whatever the number of processes: another number may continue. The one
        that writes has them on the host, as they are written.
        """
        parts = (
            _prefixed("weights", self._local_weights())
            | _prefixed("averages", self.averages.tensors())
            | _prefixed("optimizer", self.optimizer.moments())
        )
        tensors = (
            _prefixed("optimizer/step", self.optimizer.steps())
            | self._full(parts)
            | _prefixed("timesteps", self.objective.timesteps.state())
            | _prefixed("window", self.window.state())
        )
        facts = {
            "terms": self.window.names,
            "recent": self.health.state(),
            "skipped": self.skipped,
            "scaler": self.optimizer.scaler.state_dict(),
        }
        if self.processes.writes:  # on the host: copies of all would not fit beside the originals
            tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
        return State(self.step, tensors, log, facts)

    @torch.no_grad()
    def resume(self, state: State) -> None:
        """Continue from a state, whatever the number of processes that left it."""
        tensors, facts = state.tensors, state.facts
        self.skipped = facts["skipped"]
        self.health.resume(facts["recent"])
        self.objective.timesteps.resume(_under("timesteps", tensors))
        self.window.resume(facts["terms"], _under("window", tensors))
        self.averages.resume(self._divided(_under("averages", tensors)))
        self.assign(self._divided(_under("weights", tensors)))
        steps = _under("optimizer/step", tensors)
        moments = {
            name: value
            for name, value in _under("optimizer", tensors).items()
            if not name.startswith("step/")
        }
        self.optimizer.resume(self._divided(moments), steps, facts["scaler"])
        self.step = state.step
        self.loader.close()
        self.loader = self._loader()

    def save_checkpoint(self, folder: Path) -> None:
        """Write the averages as a model folder, with snapshots for averages of other lengths."""
        spec = self.spec.model_copy(update={"provenance": {"step": self.step, **self.provenance}})
        averages = self.averages
        if self.processes.sharded:
            averages = Averages(self._full(self._local_weights()), self.params.averaging)
            averages.resume(self._full(self.averages.tensors()))

        def write() -> None:
            save_model(folder, spec, self.frozen | averages.classic)
            averages.save_snapshots(folder, self.step)

        on_first(self.processes, write)


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with a prefix, without it; inverts `_prefixed`."""
    start = f"{prefix}/"
    return {
        name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)
    }
