"""What a training is expected to hold: against torch's own allocator, and by hand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch.profiler import ProfilerActivity, profile
from trainings import MUON, checked, trainer

from benchmarks.training_memory import spec_of
from superres.config.check import Params
from superres.model.folder import SuperResolver
from superres.training.expected_memory import (
    META,
    CudaDtypes,
    ExpectedMemory,
    blank_batch,
    expected_memory,
    pass_bytes,
)
from superres.training.memory import memory_expected
from superres.training.objectives import Objective, make_objective
from tiny_trial import build

CPU = torch.device("cpu")
TILE, TILES = 32, 8
GIB = 2**30


def objective(params: Params, device: torch.device, checkpointing: bool) -> Objective:
    model = SuperResolver(spec_of(params)).to(device)
    model.network.activation_checkpointing = checkpointing  # type: ignore[assignment]
    return make_objective(model, params.train.loss, "fp32")


def allocated(made: Objective, tiles: int) -> int:
    """Return the most that torch's allocator held during a real pass on the CPU, in bytes."""
    batch = blank_batch(made.model.spec, TILE, tiles, CPU)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        t, _ = made.timesteps.draw(batch.uniform)
        made.terms(batch, t)["loss"].mean().backward()
    assert profiled.profiler is not None and profiled.profiler.kineto_results is not None
    events = [e for e in profiled.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_pass_holds_what_the_allocator_says(tmp_path: Path, checkpointing: bool) -> None:
    params = checked(tmp_path, model={"channels": 32})
    meta = objective(params, META, checkpointing)
    counted = pass_bytes(meta, blank_batch(meta.model.spec, TILE, TILES, META), None, added=False)
    real = allocated(objective(params, CPU, checkpointing), TILES)
    assert 0.9 * real < counted < 1.1 * real


def test_checkpointing_and_bf16_hold_less_and_tiles_more(tmp_path: Path) -> None:
    needs = {}
    for precision in ("fp32", "bf16"):
        for checkpointing in (False, True):
            params = checked(
                tmp_path,
                model={"channels": 32},
                precision=precision,
                activation_checkpointing=checkpointing,
            )
            needs[precision, checkpointing] = expected_memory(
                spec_of(params), params.train, 64, TILES
            )
    assert len({need.kept for need in needs.values()}) == 1
    assert needs["bf16", False].passing < needs["fp32", False].passing
    assert needs["fp32", True].passing < 0.8 * needs["fp32", False].passing
    assert needs["bf16", True].passing < needs["fp32", True].passing
    double = expected_memory(spec_of(params), params.train, 64, 2 * TILES)
    assert double.passing > 1.5 * needs["bf16", True].passing


def test_a_crop_is_what_a_pass_is_made_of(tmp_path: Path) -> None:
    params, cropped = checked(tmp_path), checked(tmp_path, crop=32)
    spec = spec_of(params)
    whole = expected_memory(spec, params.train, 64, 16 * TILES)
    part = expected_memory(spec, cropped.train, 64, 16 * TILES)
    assert part.kept == whole.kept  # tiles that validate are whole
    assert part.passing < 0.5 * whole.passing


def test_what_is_kept_is_every_copy_of_the_weights(tmp_path: Path) -> None:
    params = checked(tmp_path, averaging={"ema": 0.9, "power": [0.05, 0.1]})
    spec = spec_of(params)
    weights = sum(weight.nbytes for weight in SuperResolver(spec).network.parameters())
    alone = expected_memory(spec, params.train, TILE, 1)
    divided = expected_memory(spec, params.train, TILE, 1, shards=7)
    # weights, gradients, two moments, three averages
    assert alone.kept - divided.kept == 7 * weights - weights


def test_of_what_muon_trains_one_moment_is_kept(tmp_path: Path) -> None:
    adam, muon = (checked(tmp_path, muon={**MUON, "rate": rate}) for rate in (0.0, 2.0))
    spec = spec_of(adam)
    network = SuperResolver(spec).unwrapped
    named = dict(network.named_parameters())
    convolutions = sum(named[name].nbytes for name in network.block_convolutions())
    kept = [expected_memory(spec, params.train, TILE, 1).kept for params in (adam, muon)]
    assert kept[0] - kept[1] == convolutions > 0


def test_dtypes_are_those_of_autocast_on_cuda() -> None:
    norm, layer = torch.nn.GroupNorm(2, 4).to(META), torch.nn.Conv2d(4, 4, 1).to(META)
    x = torch.zeros(1, 4, 2, 2, device=META)
    with CudaDtypes(torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
        assert norm(layer(x)).dtype == torch.float32
        heads = layer(x).view(1, 2, 2, 4)
        attended = torch.nn.functional.scaled_dot_product_attention(heads, heads, heads)
        assert attended.dtype == torch.bfloat16
    assert layer(x).dtype == torch.float32


def test_a_card_keeps_some_for_itself() -> None:
    assert ExpectedMemory(10 * GIB, 10 * GIB).fits(24 * GIB)
    assert not ExpectedMemory(10 * GIB, 11 * GIB).fits(24 * GIB)


def test_training_says_what_it_needs_and_what_there_is(tmp_path: Path) -> None:
    build(tmp_path / "data")
    made = trainer(tmp_path, tmp_path)
    line = memory_expected(made, 8 * GIB)
    assert re.fullmatch(
        r"expects to need 0\.\d GiB with 4 tiles in a pass; the card has 8\.0 GiB", line
    )
    assert "may not do: raise train.micro_batches" in memory_expected(made, GIB)
