"""What a training will hold on its device, counted tensor by tensor before its first step.

A pass runs on torch's `meta` device, which knows shapes and computes nothing, as a GPU would run
it: with the dtypes of CUDA's autocast and with attention that keeps no matrix of its products.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from superres.core.precision import PRECISIONS
from superres.model.folder import ModelSpec, SuperResolver
from superres.networks.protocol import Network
from superres.training.config import TrainParams
from superres.training.data import VALIDATION_TILES, TrainingBatch
from superres.training.live_tensors import LiveTensors
from superres.training.objectives import EVALUATED_AT_ONCE, Objective, make_objective
from superres.training.optimizer import moments_by_weight

RESERVED_BYTES, RESERVED_SHARE = 2**30, 0.1
"""Of a card's memory, for what is not counted: the context, libraries' scratch space, copies into
another memory order, and what an allocator cannot use. Assumed, not measured."""
META = torch.device("meta")


class ExpectedMemory(NamedTuple):
    """Bytes that a training holds on each device."""

    kept: int
    """Weights, gradients, moments, averages, and the tiles that validate."""
    passing: int
    """What the larger of a training pass and a validation adds at its peak."""

    @property
    def total(self) -> int:
        """Bytes at the peak."""
        return self.kept + self.passing

    def fits(self, card: float) -> bool:
        """Whether it fits into a card of so many bytes, with what is reserved of it."""
        return self.total <= card * (1 - RESERVED_SHARE) - RESERVED_BYTES


def expected_memory(
    spec: ModelSpec, params: TrainParams, tile: int, tiles: int, passes: int = 1, shards: int = 1
) -> ExpectedMemory:
    """Return what a training holds on a GPU.

    Args:
        spec: the model.
        params: its training.
        tile: edge of a tile in pixels, of which `params.crop` may be a part.
        tiles: in a pass.
        passes: of each process, for one step.
        shards: processes that the weights, and what follows them, are divided among.
    """
    with META:
        model = SuperResolver(spec).to(META)
    network = model.network
    assert isinstance(network, Network)
    if not params.channels_last:
        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    network.activation_checkpointing = params.activation_checkpointing
    objective = make_objective(model, params.loss, "fp32")  # its dtypes are CudaDtypes' affair
    dtype = PRECISIONS[params.precision]
    named = dict(network.named_parameters())
    moments = moments_by_weight(named, network.block_convolutions(), params)
    weights = sum(weight.nbytes for weight in named.values())
    optimizer = sum(len(moments[name]) * weight.nbytes for name, weight in named.items())
    copies = 1 + 1 + 1 + len(params.averaging.power)  # themselves, gradients, averages
    batch = blank_batch(spec, params.crop or tile, tiles, META)
    step = pass_bytes(objective, batch, dtype, added=passes > 1)
    # The average takes the weights' place while it is looked at, and they are put aside.
    looked = validation_bytes(objective, batch, dtype) + weights
    # A step's own gradients are part of the pass where there were none before it.
    gradients = weights if passes > 1 else 0
    held = sum(part.nbytes for part in blank_batch(spec, tile, VALIDATION_TILES, META))
    kept = (copies * weights + optimizer) // shards + held
    return ExpectedMemory(kept, max(step - weights + gradients, looked))


def pass_bytes(
    objective: Objective, batch: TrainingBatch, dtype: torch.dtype | None, added: bool
) -> int:
    """Return the peak of what a forward and a backward pass make, gradients included.

    Args:
        objective: whose loss; its model is trained no further.
        batch: of the pass.
        dtype: what products are computed in on CUDA; None for float32.
        added: whether gradients of an earlier pass are there, to which these are added.
    """
    network = objective.model.network.train()
    for block in objective.model.unwrapped.shard_blocks():
        _keep_dtypes(block, dtype)
    for weight in network.parameters():
        weight.grad = None
    with LiveTensors() as live:
        if added:
            for weight in network.parameters():
                weight.grad = torch.zeros_like(weight)
        t, _ = objective.timesteps.draw(batch.uniform)
        with CudaDtypes(dtype):
            loss = objective.terms(batch, t)["loss"].mean()
        loss.backward()
    return live.peak


@torch.no_grad()
def validation_bytes(objective: Objective, batch: TrainingBatch, dtype: torch.dtype | None) -> int:
    """Return the peak of what evaluating the loss makes, of a batch's tiles at most."""
    objective.model.network.eval()
    some = TrainingBatch(*(part[:EVALUATED_AT_ONCE] for part in batch))
    with LiveTensors() as live, CudaDtypes(dtype):
        objective.terms(some, objective.timesteps.draw(some.uniform)[0])
    return live.peak


def blank_batch(spec: ModelSpec, tile: int, tiles: int, device: torch.device) -> TrainingBatch:
    """Return a batch of nothing."""
    high = torch.zeros(tiles, 3, tile, tile, device=device)
    low = torch.zeros(tiles, 3, tile // spec.scale, tile // spec.scale, device=device)
    kept = torch.zeros(tiles, dtype=torch.bool, device=device)
    return TrainingBatch(
        high,
        low,
        torch.zeros(tiles, len(spec.entropies), device=device),
        torch.zeros_like(high),
        kept,
        kept.clone(),
        torch.zeros(tiles, 2, dtype=torch.float64, device=device),
    )


class CudaDtypes(TorchFunctionMode):
    """What CUDA's autocast and attention do to tensors of `meta`, which know neither.

    Products and convolutions get their inputs rounded to a dtype, norms theirs in float32, and a
    weight is rounded once within a block (torch, "CUDA Ops that can autocast").

    Args:
        dtype: None where nothing is rounded.
    """

    entered = 0
    """How many are at work."""
    _ROUNDED = (F.conv1d, F.conv2d, F.conv_transpose2d, F.linear)
    _IN_FLOAT32 = (F.group_norm, F.layer_norm, F.softmax)

    def __init__(self, dtype: torch.dtype | None) -> None:
        super().__init__()
        self._dtype = dtype
        self._weights: dict[int, Tensor] = {}

    def __enter__(self) -> CudaDtypes:
        CudaDtypes.entered += 1
        return super().__enter__()

    def __exit__(self, *raised: Any) -> None:
        CudaDtypes.entered -= 1
        super().__exit__(*raised)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run a function as CUDA would."""
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention and args[0].device == META:
            return self._attention(*map(self._rounded, args))
        if self._dtype is not None and func in self._ROUNDED:
            args = tuple(map(self._rounded, args))
        elif self._dtype is not None and func in self._IN_FLOAT32:
            args = tuple(part.float() if isinstance(part, Tensor) else part for part in args)
        return func(*args, **kwargs)

    def _rounded(self, value: Any) -> Any:
        dtype = self._dtype
        if dtype is None or not isinstance(value, Tensor) or value.dtype != torch.float32:
            return value
        if not isinstance(value, nn.Parameter):
            return value.to(dtype)
        return self._weights.setdefault(id(value), value.to(dtype))

    def _attention(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        if query.dtype == torch.float32:
            efficient = torch.ops.aten._scaled_dot_product_efficient_attention
            return efficient(query, key, value, None, torch.is_grad_enabled())[0]
        return torch.ops.aten._scaled_dot_product_flash_attention(query, key, value)[0]


def _keep_dtypes(block: nn.Module, dtype: torch.dtype | None) -> None:
    """Have a block that is recomputed in the backward pass know what CUDA does there."""
    plain = block.forward

    def forward(*args: Any) -> Any:
        with nullcontext() if CudaDtypes.entered else CudaDtypes(dtype):
            return plain(*args)

    block.forward = forward
