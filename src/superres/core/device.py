"""Which device computes: an affair of the machine, never of an experiment's params."""

from __future__ import annotations

import ctypes
import os
import sys

import torch

from superres.core.errors import SuperresError

VARIABLE = "SUPERRES_DEVICE"

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Numbers of options in glibc's malloc.h."""
MMAP_THRESHOLD = 32 * 2**20
"""Bytes from which a tensor's memory comes from the system; the largest that glibc takes."""
TRIM_THRESHOLD = 512 * 2**20
"""Bytes of freed memory that are kept."""


def pick_device(name: str | None = None, apple: bool = False) -> torch.device:
    """Return the device to compute on, by name (`cpu`, `cuda:1`, ...).

    Without a name, the environment's SUPERRES_DEVICE; without that, the first GPU, or where `apple`
    allows it Apple's, else the CPU.

    Args:
        name: of a device.
        apple: whether `mps`, Apple's GPU, will do: it has no float64.

    Raises:
        SuperresError: a device that torch does not know, this machine does not have, or that will
            not do.
    """
    wanted = name or os.environ.get(VARIABLE) or _best(apple)
    said_by = "" if name else f"{VARIABLE}: "
    try:
        device = torch.device(wanted)
        if device.type == "mps" and not apple:
            raise RuntimeError("it has no float64, which is needed here; sampling and restoring go")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise SuperresError(f"{said_by}device {wanted!r} cannot be used: {reason}") from error
    if device.type == "cpu":
        _keep_freed_memory()
    return device


def _best(apple: bool) -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if apple and torch.backends.mps.is_available() else "cpu"


def _keep_freed_memory() -> None:
    """Let glibc's malloc keep what a network frees for the next of its tensors.

    By default it returns large pieces to the system, which then clears every page anew: a twentieth
    of the time of an evaluation. `restoration` gives memory back itself, where much is freed.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
        if mallopt is not None:
            mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD)
            mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD)
