"""One training on several processes: who they are, what they exchange, how weights are shared.

Everything is torch's own: torchrun starts the processes and names them in the environment,
gradients are averaged by DistributedDataParallel, or weights divided by FSDP2. One process needs
none of it.
"""

from __future__ import annotations

import gc
import os
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from superres.core.device import pick_device
from superres.core.errors import SuperresError

SHARD_VARIABLE = "SUPERRES_SHARD"


@dataclass(frozen=True)
class Processes:
    """One process among those of a training.

    Args:
        rank: from 0, the one that writes files.
        count: how many there are.
        device: where this one computes.
        sharded: whether weights, gradients and averages are divided among them.
    """

    rank: int
    count: int
    device: torch.device
    sharded: bool = False

    @property
    def writes(self) -> bool:
        """Whether this is the one that writes files and shows progress."""
        return self.rank == 0

    def passes(self, batch: int, micro_batches: int) -> int:
        """Return how many forward and backward passes each process makes for a global batch.

        Raises:
            SuperresError: a batch that cannot be dealt out evenly.
        """
        passes = -(-micro_batches // self.count)
        if batch % (passes * self.count):
            raise SuperresError(
                f"train.batch: {batch} tiles cannot be divided among {self.count} processes of "
                f"{passes} passes each (train.micro_batches {micro_batches})"
            )
        return passes

    def prepare(self, network: nn.Module, blocks: Iterable[nn.Module]) -> nn.Module:
        """Return the network as it is to be called, its weights shared with the other processes.

        Args:
            network: all of it.
            blocks: its parts that are gathered one by one where weights are divided.
        """
        if self.sharded:
            # Loaded where it is needed alone: it takes a second.
            fully_shard = import_module("torch.distributed.fsdp").fully_shard
            # FSDP2 divides contiguous tensors only; activations still are channels last.
            network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
            for block in blocks:
                fully_shard(block)
            fully_shard(network)
            return network
        if self.count == 1:
            return network
        ids = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=ids, gradient_as_bucket_view=True)

    def accumulating(self, network: nn.Module, last: bool) -> AbstractContextManager[None]:
        """Keep gradients to this process for a block, but for the last of a step's passes."""
        if isinstance(network, DistributedDataParallel) and not last:
            return network.no_sync()
        if self.sharded:
            network.set_requires_gradient_sync(last)  # type: ignore[operator]
        return nullcontext()

    def gather(self, values: Tensor) -> Tensor:
        """Return every process's tensor, concatenated by rank along the last dimension."""
        if self.count == 1:
            return values
        parts = [torch.empty_like(values) for _ in range(self.count)]
        dist.all_gather(parts, values.contiguous())
        return torch.cat(parts, dim=-1)

    def mine(self, values: Tensor) -> Tensor:
        """Return this process's part of what `gather` returned."""
        return values.chunk(self.count, dim=-1)[self.rank]

    def largest(self, number: int) -> int:
        """Return the largest of the processes' numbers; on the host, without the device."""
        if self.count == 1:
            return number
        value = torch.tensor(number)
        dist.all_reduce(value, dist.ReduceOp.MAX)
        return int(value)


@contextmanager
def connected() -> Iterator[Processes]:
    """Join the processes that torchrun started, or be the only one.

    What is made with them in the block must not be held beyond it.

    Raises:
        SuperresError: a device that cannot be used.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    sharded = os.environ.get(SHARD_VARIABLE, "") not in ("", "0")
    if "RANK" not in os.environ or (count == 1 and not sharded):
        yield Processes(0, 1, pick_device())
        return
    device = pick_device()
    if device.type == "cuda" and device.index is None:
        device = pick_device(f"cuda:{os.environ['LOCAL_RANK']}")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), count, device, sharded)
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)
        raise
    finally:
        # Whoever still holds a network that shares its gradients holds the group, too. Ended by
        # such a network's end, the group waits for its threads, and they for Python: for ever.
        gc.collect()
        dist.destroy_process_group()


@torch.no_grad()
def part(tensor: Tensor) -> Tensor:
    """Return this process's part of a weight, sharing its memory; all where none is divided."""
    divided: Any = tensor
    return divided.to_local() if _is_divided(tensor) else tensor.detach()


@torch.no_grad()
def whole(values: Tensor, like: Any) -> Tensor:
    """Return the whole of a tensor whose parts lie as a weight's do; every process must ask."""
    if not _is_divided(like):
        return values
    shape, stride = like.shape, like.stride()
    layout = (like.device_mesh, like.placements)
    return type(like).from_local(values, *layout, shape=shape, stride=stride).full_tensor()


@torch.no_grad()
def parted(values: Tensor, like: Any) -> Tensor:
    """Return this process's part of a whole tensor, divided as a weight is."""
    if not _is_divided(like):
        return values
    tensors = import_module("torch.distributed.tensor")
    return tensors.distribute_tensor(values, like.device_mesh, like.placements).to_local()


def _is_divided(tensor: Tensor) -> bool:
    """Whether a tensor is a DTensor, whose module takes a second to load."""
    return hasattr(tensor, "to_local")


def on_first(processes: Processes, write: Callable[[], object]) -> None:
    """Let the first process write, while the others wait.

    Raises:
        SuperresError: for all, if the first could not; it alone says why.
    """
    error: Exception | None = None
    if processes.writes:
        try:
            write()
        except Exception as caught:
            error = caught
    failed = processes.largest(int(error is not None))
    if error is not None:
        raise error
    if failed:
        raise SuperresError("the first of the processes has failed")


@contextmanager
def taken_by_first(processes: Processes, lock: AbstractContextManager[None]) -> Iterator[None]:
    """Let the first process take something for all of them, for a block."""
    with ExitStack() as stack:
        on_first(processes, lambda: stack.enter_context(lock))
        yield
