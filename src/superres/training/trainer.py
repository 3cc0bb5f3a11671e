"""One training: data, network, optimiser, average and log, and what a step does to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW

from superres.data.dataset import PairSet
from superres.device import pick_device
from superres.diffusion.timesteps import LossSecondMoment, TimestepSampler, UniformTimesteps, spread
from superres.model_folder import ModelSpec, SuperResolver, save_model
from superres.models.conditions import drop_entropies, drop_low
from superres.params.diffusion import DiffusionParams
from superres.params.model import ModelParams
from superres.params.train import TrainParams
from superres.seeding import derive_seed
from superres.training.batches import Batches, TrainingBatch, validation_batch
from superres.training.checkpoints import State
from superres.training.optimization import ema_decay, learning_rate, update_average

VALIDATION_TILES = 64


class Trainer:
    """One training: its data, network, optimiser and how far it has come.

    Args:
        model: the network.
        diffusion: the process.
        train: optimisation.
        tiles: folder of tiles.
        pairs: folder of pairs.

    Raises:
        SuperresError: params that no network can be built from, or data that do not fit.
    """

    def __init__(
        self,
        model: ModelParams,
        diffusion: DiffusionParams,
        train: TrainParams,
        tiles: str | Path,
        pairs: str | Path,
    ) -> None:
        self.params = train
        self.device = pick_device()
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
        torch.manual_seed(derive_seed(train.seed, "weights"))
        self.model = SuperResolver(self.spec).to(self.device)
        self.model.network.activation_checkpointing = train.activation_checkpointing
        self.provenance = {
            "photographs": int(training.rows["source"].nunique()),
            "tiles": int(training.rows["tile_id"].nunique()),
            "pairs": len(training),
            "batch": train.batch,
            "parameters": self.model.parameters(),
        }
        self.batches = Batches(training, train.seed, train.drop)
        self.timesteps: TimestepSampler = (
            UniformTimesteps(diffusion.timesteps, train.loss.high_noise)
            if train.loss.timesteps == "uniform"
            else LossSecondMoment(diffusion.timesteps, self.device)
        )
        self.validation = validation_batch(validation, VALIDATION_TILES, self.device)
        self.weights = dict(self.model.network.named_parameters())
        self.average = {name: weight.detach().clone() for name, weight in self.weights.items()}
        self.optimizer = AdamW(
            self.weights.values(),
            lr=train.learning_rate.peak,
            betas=(train.betas[0], train.betas[1]),
            weight_decay=train.weight_decay,
            fused=True,
        )
        self.step = 0
        self.log: list[dict[str, float]] = []

    def advance(self) -> dict[str, Tensor]:
        """Do one optimiser step; return its loss terms and gradient norm, still on the device."""
        params = self.params
        rate = learning_rate(self.step, params.steps, params.learning_rate)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        micro = params.batch // params.micro_batches
        sums: dict[str, Tensor] = {}
        seen: list[tuple[Tensor, Tensor]] = []
        for part in range(params.micro_batches):
            # Dropout is the only draw that a module makes for itself.
            torch.manual_seed(derive_seed(params.seed, "dropout", self.step, part))
            first = self.step * params.batch + part * micro
            batch = self.batches.at(first, micro, self.device)
            t, weights = self.timesteps.draw(batch.uniform)
            terms = self._terms(batch, t)
            seen.append((t, terms["loss"].detach()))
            weighted = {name: term * weights.to(term.dtype) for name, term in terms.items()}
            (weighted["loss"].mean() / params.micro_batches).backward()
            for name, term in weighted.items():
                sums[name] = sums.get(name, 0) + term.detach().mean() / params.micro_batches
        # Once per step, not per part: how a batch is divided must not change what is drawn.
        self.timesteps.learn(*(torch.cat(column) for column in zip(*seen, strict=True)))
        limit = float("inf") if params.clip_norm is None else params.clip_norm
        sums["gradient_norm"] = torch.nn.utils.clip_grad_norm_(self.weights.values(), limit)
        self.optimizer.step()
        self.step += 1
        decay = ema_decay(self.step, params.ema)
        update_average(list(self.average.values()), list(self.weights.values()), decay)
        return sums

    def _terms(self, batch: TrainingBatch, timesteps: Tensor) -> dict[str, Tensor]:
        model, loss = self.model, self.params.loss
        precision = self.params.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=precision):
            return model.diffusion.loss_terms(
                model.denoiser(
                    drop_low(batch.low, batch.drop_low),
                    drop_entropies(batch.entropy, batch.drop_entropies),
                ),
                model.encode(batch.high, batch.low),
                timesteps,
                batch.noise,
                kind=loss.kind,
                weighting=loss.weighting,
                vb_weight=loss.vb_weight,
                min_snr_gamma=loss.min_snr_gamma,
                levels=model.levels(batch.high),
            )

    @torch.no_grad()
    def validation_loss(self) -> float:
        """Return the averaged weights' loss on fixed val pairs, timesteps and noise."""
        self.model.network.eval()
        kept = {name: weight.clone() for name, weight in self.weights.items()}
        self._assign(self.average)
        count = len(self.validation.high)
        timesteps = spread(count, self.model.diffusion.timesteps).to(self.device)
        parts = [
            self._terms(
                TrainingBatch(*(tensor[i : i + 16] for tensor in self.validation)),
                timesteps[i : i + 16],
            )["loss"]
            for i in range(0, count, 16)
        ]
        self._assign(kept)
        return torch.cat(parts).mean().item()

    @torch.no_grad()
    def _assign(self, values: dict[str, Tensor]) -> None:
        for name, weight in self.weights.items():
            weight.copy_(values[name])

    def save_checkpoint(self, folder: Path) -> None:
        """Write the averaged weights as a model folder."""
        provenance = {"step": self.step, **self.provenance}
        save_model(folder, self.spec.model_copy(update={"provenance": provenance}), self.average)

    def state(self) -> State:
        """Return everything that the next step follows from."""
        tensors = {}
        for name, weight in self.weights.items():
            tensors[f"weights/{name}"] = weight.detach()
            tensors[f"average/{name}"] = self.average[name]
            for key, value in self.optimizer.state.get(weight, {}).items():
                tensors[f"optimizer/{key}/{name}"] = value
        for key, value in self.timesteps.state().items():
            tensors[f"timesteps/{key}"] = value
        contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
        return State(self.step, contiguous, self.log)

    @torch.no_grad()
    def resume(self, state: State) -> None:
        """Continue from a state."""
        self.step, self.log = state.step, list(state.log)
        prefix = "timesteps/"
        self.timesteps.resume(
            {
                name.removeprefix(prefix): value
                for name, value in state.tensors.items()
                if name.startswith(prefix)
            }
        )
        for name, weight in self.weights.items():
            weight.copy_(state.tensors[f"weights/{name}"])
            self.average[name].copy_(state.tensors[f"average/{name}"])
            entry: dict[str, Any] = self.optimizer.state[weight]
            for key in ("step", "exp_avg", "exp_avg_sq"):
                value = state.tensors[f"optimizer/{key}/{name}"].to(self.device)
                # Layout matters to the last bit: the kernels sum in memory order.
                like = value if key == "step" else weight
                entry[key] = torch.empty_like(like).copy_(value)
