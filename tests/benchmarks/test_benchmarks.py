"""The benchmarks run, at tiny size, so that they cannot rot."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from PIL import Image

from benchmarks import gan_time, restoring_time
from superres.config.check import check_params
from support import ROOT, run, tiny_mean_denoiser_params, write_yaml
from tiny_trial import save_random_model


def test_the_table_of_samplers(project: Path, tmp_path: Path) -> None:
    run(
        project,
        sys.executable,
        str(ROOT / "benchmarks/samplers.py"),
        "--only=ddpm,heun",
        "--steps=4,5",
        "--count=2",
        "--samples=2",
        f"--out={tmp_path / 'samplers.csv'}",
    )
    table = pd.read_csv(tmp_path / "samplers.csv")
    assert len(table) == 2 * 2 * 6
    assert set(table["spacing"]) == {
        "linear",
        "quadratic",
        "trailing",
        "karras",
        "angle",
        "trailing_angle",
    }
    heun = table[table["sampler"] == "heun"]
    assert (heun["evaluations"] == 2 * heun["steps"] - 1).all()
    assert heun["evaluations"].max() == 5
    # The mean of samples is never further from the original, on average, than they are.
    assert (table["psnr_mean"] >= table["psnr"]).all()
    assert table["psnr"].between(0, 60).all()


def test_the_table_of_entropies(project: Path) -> None:
    script = str(ROOT / "benchmarks/entropies.py")
    words = ["--pictures=photographs", "--count=2"]
    done = run(project, sys.executable, script, *words)
    header, _, *rows = (
        [cell.strip() for cell in line.split("|")] for line in done.stdout.splitlines()
    )
    assert header[3:8] == ["true", "auto", "0", "0.25", "0.5"]
    assert [row[1:3] for row in rows] == [
        ["test tiles", "2"], ["val tiles", "2"], ["pictures", "2"],
    ]  # fmt: skip
    assert all(0 < float(cell) < 60 for row in rows for cell in row[3:8])
    assert all(0 <= float(cell) <= 1 for row in rows for cell in row[8:-1])
    (project / "no-pictures").mkdir()
    failed = run(
        project, sys.executable, script, "--pictures=no-pictures", "--count=1", check=False
    )
    assert failed.returncode and "no-pictures: holds no pictures" in failed.stderr


def test_the_share_of_the_network_in_sampling() -> None:
    done = run(ROOT, sys.executable, "-m", "benchmarks.sampling_loop", "3", "2")
    for line, name in zip(done.stdout.splitlines(), ("default", "small-unet"), strict=True):
        found = re.match(
            name + r", 3 tiles, 2 steps: ([\d.]+) % of processor time .*; \w{32}$", line
        )
        assert found, line
        assert 40 < float(found[1]) < 100


def test_the_parts_of_a_restoration(tmp_path: Path) -> None:
    Image.effect_noise((48, 40), 50).convert("RGB").save(tmp_path / "in.png")
    model = ROOT / "src/superres/box/model"
    words = ["restore", str(tmp_path / "in.png"), str(tmp_path / "out.png"), "--overwrite"]
    words += ["--steps", "2", "--model", str(model)]
    rows = restoring_time.measured(restoring_time.SOURCE, words, tmp_path)
    assert Image.open(tmp_path / "out.png").size == (96, 80)
    for what in ("convolutions", "norms", "activations", "all else in the network", "writing"):
        assert 0 < rows[what] < rows["the command as a whole"]
    assert min(rows.values()) >= 0


def test_the_network_that_restoring_is_timed_beside_is_the_published_one() -> None:
    network = gan_time.ResidualDenseNetwork()
    assert sum(weight.numel() for weight in network.parameters()) == 16_697_987  # x4plus's
    with torch.no_grad():
        assert network(torch.rand(1, 3, 5, 7)).shape == (1, 3, 20, 28)
    rows = gan_time.rows(24, 1)
    assert len(rows) == 5 and all(row.values[0] > 0 for row in rows)


def test_the_table_of_runtimes(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'superres[onnx]'")
    pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    params = write_yaml(tmp_path / "params.yaml", tiny_mean_denoiser_params())
    save_random_model(tmp_path / "model", check_params(params))
    words = ["-m", "benchmarks.runtimes", "32", "1", str(tmp_path / "model")]
    done = run(ROOT, sys.executable, *words)
    found = re.search(r"^ONNX Runtime: differs by (\S+) \(estimate\), (\S+) ", done.stdout, re.M)
    assert found and all(float(off) < 1e-4 for off in found.groups())
    header, _, *rows = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert header.startswith("| | torch, channels last | torch, contiguous | ONNX Runtime |")
    assert [row.split(" | ")[0] for row in rows] == [
        "| estimate",
        "| one evaluation of the denoiser",
        "| estimate and 10 evaluations, summed from those",
        "| estimate and 15 evaluations, summed from those",
        "| torch, channels last over it, 15",
    ]


def test_the_list_of_samplers_is_told(project: Path) -> None:
    done = run(project, sys.executable, str(ROOT / "benchmarks/samplers.py"), "--help")
    assert "dpmpp_2m" in done.stdout


@pytest.mark.parametrize("flag", ["--only=euler", "--steps=0"])
def test_impossible_requests_end_in_an_error(project: Path, flag: str) -> None:
    words = ["--only=ddpm", "--count=2", flag]
    done = run(project, sys.executable, str(ROOT / "benchmarks/samplers.py"), *words, check=False)
    assert done.returncode


def test_the_table_of_tiling_and_degradation() -> None:
    done = run(ROOT, sys.executable, str(ROOT / "benchmarks/data.py"), "400")
    header, row = done.stdout.splitlines()
    assert header.startswith("tiles")
    assert row.split()[0] == "400"


def _rows(path: Path) -> dict[str, Any]:
    """Return the rows of a result by what they measured, after a look at the rest of it."""
    content = json.loads(path.read_text(encoding="utf-8"))
    assert {"device", "torch", "python", "threads"} <= set(content["machine"])
    rows = {row["what"]: row for row in content["rows"]}
    assert len(rows) == len(content["rows"]), "two rows of one name"
    for row in rows.values():
        assert row["values"] and min(row["values"]) <= row["median"] <= max(row["values"])
    return rows


def test_everything_on_a_cpu(tmp_path: Path) -> None:
    out = tmp_path / "cpu.json"
    run(ROOT, sys.executable, "-m", "benchmarks.cpu", "--tiny", f"--out={out}")
    rows = _rows(out)
    wanted = {
        "tiling", "degrading", "loader alone, one thread", "training step",
        "tiny: evaluation, batch 2, fast", "tiny: evaluation, batch 2, plain",
        "sampling 2 tiles in 2 steps", "restoring 80 x 80 px", "evaluation of test tiles",
        "dvc repro, nothing to do",
    }  # fmt: skip
    assert wanted <= set(rows)
    for script in (ROOT / "stages").glob("*.py"):
        torch_free = script.stem in {
            "photos", "tile", "degrade", "distill", "report", "machine",
        }  # fmt: skip
        note = rows[f"start of {script.name}"]["note"]
        assert note == ("without torch" if torch_free else "imports torch"), script.name
    assert 0 <= rows["training step"]["facts"]["share waiting for data"] < 1
    if importlib.util.find_spec("gradio"):
        assert 0 < rows["superres app until its address"]["median"] < 30


# Names that cannot be imported, as on a machine that has torch and nothing else of the project's.
BARE = """
import runpy, sys
absent = "pydantic yaml pandas safetensors tqdm joblib PIL scipy skimage jinja2 dvc".split()
sys.modules.update(dict.fromkeys(absent))
sys.argv = ["gpu.py", "--tiny", "--device=cpu", "--no-compile", f"--out={sys.argv[1]}"]
runpy.run_path("benchmarks/gpu.py", run_name="__main__")
"""


def test_the_gpus_benchmark_needs_torch_alone(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    done = run(ROOT, sys.executable, "-c", BARE, str(out))
    rows = _rows(out)
    assert {
        "tiny: training step, bf16, batch 2",
        "tiny: training step, plain fp32, batch 2",
        "tiny: sampling in 2 steps, batch 2, bf16",
        "tiny: one picture in 2 steps, bf16, eager",
    } <= set(rows)
    left_out = json.loads(out.read_text())["left_out"]
    assert "CUDA graphs: no CUDA device" in left_out
    assert any(reason.startswith("loader: needs ") for reason in left_out)
    assert all(f"left out: {reason}" in done.stdout for reason in left_out)


def test_the_gpus_benchmark_loads_batches_and_keeps_to_its_time(tmp_path: Path) -> None:
    command = (sys.executable, "benchmarks/gpu.py", "--tiny", "--device=cpu", "--no-compile")
    out = tmp_path / "gpu.json"
    run(ROOT, *command, f"--out={out}")
    share = _rows(out)["tiny: training with the loader, bf16, batch 2"]["facts"]
    assert 0 <= share["share waiting for data"] < 1
    run(ROOT, *command, f"--out={out}", "--minutes=0")
    assert "training: no time left" in json.loads(out.read_text())["left_out"]


def test_the_gpus_benchmark_says_that_there_is_no_gpu() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    done = run(ROOT, sys.executable, "benchmarks/gpu.py", check=False)
    assert done.returncode == 1
    assert "no CUDA device" in done.stderr
