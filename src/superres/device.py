"""Which device computes: an affair of the machine, never of an experiment's params."""

from __future__ import annotations

import os

import torch

from superres.errors import SuperresError

VARIABLE = "SUPERRES_DEVICE"


def pick_device(name: str | None = None) -> torch.device:
    """Return the device to compute on, by name (`cpu`, `cuda:1`, ...).

    Without a name, the environment's SUPERRES_DEVICE; without that, the first GPU, else the CPU.

    Raises:
        SuperresError: a device that torch does not know or this machine does not have.
    """
    wanted = name or os.environ.get(VARIABLE) or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        said_by = "" if name else f"{VARIABLE}: "
        raise SuperresError(f"{said_by}device {wanted!r} cannot be used: {reason}") from error
    return device
