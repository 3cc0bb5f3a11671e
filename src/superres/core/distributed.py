"""One stage on several processes: who they are, what they exchange, how weights are shared.

Everything is torch's own: torchrun starts the processes and names them in the environment,
gradients are averaged by DistributedDataParallel, or weights divided by FSDP2. One process needs
none of it.
"""

from __future__ import annotations

import gc
import os
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from superres.core.device import pick_device
from superres.core.errors import SuperresError

SHARD_VARIABLE = "SUPERRES_SHARD"
"""Set, weights are divided among the processes, instead of each holding all of them."""

_HOST = torch.device("cpu")
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Processes:
    """One process among those of a stage.

    Args:
        rank: from 0, the one that writes files.
        count: how many there are.
        device: where this one computes.
        sharded: whether weights, and all that follows them, are divided among the processes.
    """

    rank: int
    count: int
    device: torch.device
    sharded: bool = False

    @property
    def writes(self) -> bool:
        """Whether this is the one that writes files and shows progress."""
        return self.rank == 0

    def prepare(
        self, network: nn.Module, blocks: Iterable[nn.Module], methods: Iterable[str] = ()
    ) -> nn.Module:
        """Return a network as it is to be called, its gradients shared with the other processes.

        Args:
            network: on this process's device.
            blocks: modules of it, called one after the other; where weights are divided, only
                one block's are whole at a time.
            methods: names of those that use its weights beside `forward`.
        """
        if self.sharded:
            # Imported here, since it takes a second that others need not wait.
            from torch.distributed.fsdp import (  # noqa: PLC0415
                fully_shard,
                register_fsdp_forward_method,
            )

            # FSDP2 divides contiguous tensors only; activations still are channels last.
            network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
            for block in blocks:
                fully_shard(block)
            fully_shard(network)
            for name in methods:
                register_fsdp_forward_method(network, name)
            return network
        if self.count == 1:
            return network
        ids = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=ids, gradient_as_bucket_view=True)

    def accumulating(self, network: nn.Module, last: bool) -> AbstractContextManager[None]:
        """Keep gradients to this process for a block, except in the last of a step's passes."""
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

    def largest(self, number: int) -> int:
        """Return the largest of the processes' numbers; on the host, without the device.

        Raises:
            SuperresError: another process has ended.
        """
        if self.count == 1:
            return number
        value = torch.tensor(number)
        with _all_there():
            dist.all_reduce(value, dist.ReduceOp.MAX)
        return int(value)

    def wait(self) -> None:
        """Wait until every process has come here.

        Raises:
            SuperresError: one never will: it has ended.
        """
        self.largest(0)

    def of_first(self, flags: Sequence[bool]) -> list[bool]:
        """Return the first process's flags, as many as every process has; on the host.

        Raises:
            SuperresError: another process has ended.
        """
        if self.count == 1:
            return list(flags)
        values = torch.tensor(flags)
        with _all_there():
            dist.broadcast(values, src=0)
        return [bool(value) for value in values.tolist()]

    def deal(self, items: Sequence[Item]) -> list[Item]:
        """Return this process's share of items that all processes know, dealt out in turn."""
        return list(items[self.rank :: self.count])

    def in_order(
        self, pieces: Sequence[Item], mine: Iterable[Result], to_all: bool = False
    ) -> Iterator[tuple[Item, Result]]:
        """Yield pieces of work with their results, in their order, whoever has done them.

        What is reduced in this order is the same for any number of processes. They go through the
        pieces side by side, so that each holds one result of its own and one that it is handed.
        Every process must go through to the end.

        Args:
            pieces: known to all.
            mine: results of this process's share, `deal(pieces)`; each is taken when it is due.
                They can be pickled.
            to_all: whether all processes get the results, or only the first, as where they are
                large; the others then get nothing.

        Raises:
            SuperresError: another process has ended.
        """
        results = iter(mine)
        for number, piece in enumerate(pieces):
            owner = number % self.count
            if owner == 0 and number + self.rank < len(pieces):
                own = next(results)
            if self.count == 1:
                yield piece, own
            elif to_all:
                yield piece, self._broadcast(own if owner == self.rank else None, owner)
            elif self.writes:
                yield piece, own if owner == 0 else self._received(owner)
            elif owner == self.rank:
                with _all_there():
                    dist.send_object_list([own], dst=0, device=_HOST)

    def by_turns(self, function: Callable[[], Result]) -> Result:
        """Return what a function gives, the first process's before the others begin.

        For what is fetched once into a cache that the others then read.

        Raises:
            SuperresError: another process has ended.
        """
        if not self.writes:
            self.wait()
            return function()
        try:
            return function()
        finally:
            self.wait()

    def found_by_all(self, found: Item | None, what: str) -> Item | None:
        """Return what this process has found if the first has found it as well, else None.

        Raises:
            SuperresError: the first has it and this one has not, or another process has ended.
        """
        (there,) = self.of_first([found is not None])
        if there and found is None:
            raise SuperresError(f"the first of the processes has {what}, this one has not")
        return found if there else None

    def _broadcast(self, value: Any, owner: int) -> Any:
        passed = [value]
        with _all_there():
            dist.broadcast_object_list(passed, src=owner, device=_HOST)
        return passed[0]

    def _received(self, owner: int) -> Any:
        passed: list[Any] = [None]
        with _all_there():
            dist.recv_object_list(passed, src=owner, device=_HOST)
        return passed[0]


@contextmanager
def _all_there() -> Iterator[None]:
    """Say in one line what a collective raises when another process is there no more."""
    try:
        yield
    except RuntimeError as error:  # of a closed connection; torch has no kind of its own for it
        raise SuperresError("another of the processes has ended before its work") from error


@contextmanager
def connected(apple: bool = False) -> Iterator[Processes]:
    """Join the processes that torchrun started, or be the only one.

    What is made with them in the block must not be held beyond it.

    Args:
        apple: see `pick_device`.

    Raises:
        SuperresError: a device that cannot be used.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    sharded = os.environ.get(SHARD_VARIABLE, "") not in ("", "0")
    if "RANK" not in os.environ or (count == 1 and not sharded):
        yield Processes(0, 1, pick_device(apple=apple))
        return
    device = pick_device(apple=apple)
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
def local_part(tensor: Tensor) -> Tensor:
    """Return this process's part of a weight, sharing its memory; all of it if not divided."""
    divided: Any = tensor
    return divided.to_local() if _is_divided(tensor) else tensor.detach()


def joined(tensor: Tensor) -> Tensor:
    """Return a tensor that is computed of divided weights, whole; every process must call this."""
    divided: Any = tensor
    return divided.full_tensor() if _is_divided(tensor) else tensor


@torch.no_grad()
def full_tensor(part: Tensor, like: Any) -> Tensor:
    """Return the full tensor of which each process has a part, divided as a weight is.

    Every process must call this.
    """
    if not _is_divided(like):
        return part
    shape, stride = like.shape, like.stride()
    layout = (like.device_mesh, like.placements)
    return type(like).from_local(part, *layout, shape=shape, stride=stride).full_tensor()


@torch.no_grad()
def divide(tensor: Tensor, like: Any) -> Tensor:
    """Return this process's part of a full tensor, divided as a weight is."""
    if not _is_divided(like):
        return tensor
    # Imported here, since it takes a second that others need not wait.
    from torch.distributed.tensor import distribute_tensor  # noqa: PLC0415

    return distribute_tensor(tensor, like.device_mesh, like.placements).to_local()


def _is_divided(tensor: Tensor) -> bool:
    """Whether a tensor is a DTensor; its module, which takes a second to load, is not asked."""
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
def entered_by_first(processes: Processes, context: AbstractContextManager[None]) -> Iterator[None]:
    """Let the first process enter a context, such as a lock, for all of them for a block."""
    with ExitStack() as stack:
        on_first(processes, lambda: stack.enter_context(context))
        yield
