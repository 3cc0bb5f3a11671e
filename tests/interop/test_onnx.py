"""Graphs for ONNX: as torch in ONNX Runtime, and used as docs/export.md says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import superres
from superres import __version__
from superres.cli import main
from superres.core.hashing import sha256_of
from superres.diffusion.prediction import drive, posterior_mean
from superres.interop import onnx_files
from superres.interop.onnx_graphs import enlarged, graphs
from superres.model.folder import SuperResolver, load_model, save_model
from superres.model.spec import parse_spec
from superres.networks.mean_denoiser import interpolated
from superres.sampling.samplers import sample
from support import ROOT, tiny_mean_denoiser_params, tiny_params

TOLERANCE = 1e-4
SAMPLING = {"sampler": "ddim", "steps": 4, "spacing": "angle", "temperature": 1.0}
SAMPLING |= {"fidelity": 0.5, "coring": 2.0, "sharpening": 0.3, "ceiling": 0.9}


def saved(folder: Path, params: dict[str, Any], scale: int, entropies: list[str]) -> Path:
    """Write a model of random weights."""
    description = {
        "format": "superres-1",
        "model": params["model"],
        "diffusion": params["diffusion"],
        "scale": scale,
        "entropies": entropies,
        "degradation": {},
        "dropped": [],
        "provenance": {},
        "sampling": SAMPLING,
        **{key: params[key] for key in ("classes", "label") if key in params},
    }
    spec = parse_spec(description)
    network = SuperResolver(spec).network
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
    save_model(folder, spec, network.state_dict())
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Return a network of two parts, exported by the command."""
    pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'superres[onnx]'")
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    folder = tmp_path_factory.mktemp("exported")
    model = saved(folder / "model", tiny_mean_denoiser_params(), 3, ["blur", "jpeg"])
    assert main(["export", str(model), str(folder / "best.onnx")]) == 0
    sessions = {
        name: runtime.InferenceSession(str(folder / f"best{ending}.onnx"))
        for name, ending in (
            ("estimate", ""),
            ("conditions", "-conditions"),
            ("denoiser", "-denoiser"),
        )
    }
    return SimpleNamespace(folder=folder, model=load_model(model), sessions=sessions, path=model)


@pytest.mark.parametrize("size", [(1, 1, 2), (1, 13, 8), (3, 10, 21)])
@torch.no_grad()
def test_both_parts_are_torchs_at_any_size(
    exported: SimpleNamespace, size: tuple[int, int, int]
) -> None:
    batch, height, width = size
    picture, entropies = torch.rand(batch, 3, height, width), torch.rand(batch, 2)
    given = {"picture": picture.numpy(), "entropies": entropies.numpy()}
    conditioned = exported.model.condition(2 * picture - 1, entropies)
    (restored,) = exported.sessions["estimate"].run(None, given)
    assert np.abs(restored - (conditioned.mean() + 1).numpy() / 2).max() < TOLERANCE

    said = exported.sessions["conditions"].run(None, given)
    names = [one.name for one in exported.sessions["conditions"].get_outputs()]
    for name, value in zip(names, said, strict=True):
        assert np.abs(value - getattr(conditioned.conditions, name).numpy()).max() < TOLERANCE, name

    noisy = torch.randn(conditioned.shape)
    diffusion = exported.model.diffusion
    timestep = torch.arange(batch) * 40 + 5
    prediction = diffusion.p_mean_variance(conditioned, noisy, timestep, conditioned.clip)
    more = {"noisy": noisy.numpy(), "timestep": timestep.numpy(), "entropies": given["entropies"]}
    known = dict(zip(names, said, strict=True)) | more
    clean, restored = exported.sessions["denoiser"].run(None, known)
    assert np.abs(clean - prediction.x0.numpy()).max() < TOLERANCE
    shown = (conditioned.decode(prediction.x0) + 1).clamp(0, 2) / 2
    assert np.abs(restored - shown.numpy()).max() < TOLERANCE


def test_files_say_what_they_are(exported: SimpleNamespace) -> None:
    for name, session in exported.sessions.items():
        said = session.get_modelmeta().custom_metadata_map
        assert said["graph"] == name
        assert said["superres"] == __version__
        assert said["weights_sha256"] == sha256_of(exported.path / "weights.safetensors")
        assert json.loads(said["entropies"]) == ["blur", "jpeg"]
        assert (said["scale"], said["layout"], said["picture_range"]) == (
            "3",
            "NCHW, RGB",
            "[0, 1]",
        )
    (picture, entropies) = exported.sessions["estimate"].get_inputs()
    assert picture.shape == ["batch", 3, "height", "width"]
    assert entropies.shape == ["batch", 2]
    diffusion = exported.model.diffusion
    ratio = np.exp(json.loads(said["log_noise"]))
    assert np.allclose(1 / (1 + ratio**2), diffusion.alphas_cumprod, rtol=1e-6)
    sampling = json.loads(said["sampling"])
    assert sampling["timesteps"][0] == diffusion.timesteps - 1
    finish = [sampling[name] for name in ("fidelity", "coring", "sharpening", "ceiling")]
    assert finish == [0.5, 2.0, 0.3, 0.9]
    # Deviations are of the input's pixels, of which each has three in the restored picture.
    assert sampling["fidelity_deviation_px"] == pytest.approx(3 * 0.38)
    assert sampling["coring_deviation_px"] == pytest.approx(3 * 1.5)
    assert sampling["sharpening_deviation_px"] == pytest.approx(3 * 0.6)
    assert sampling["sharpening_masking"] == 3.0
    assert (sampling["ceiling_gain"], sampling["ceiling_highest"]) == (2.0, 30.0)
    assert sampling["ceiling_deviation_px"] == pytest.approx(3 * 16.0)


def test_no_path_of_this_machine_is_in_a_file(exported: SimpleNamespace) -> None:
    for path in exported.folder.glob("*.onnx"):
        content = path.read_bytes()
        assert b".py" not in content and str(ROOT).encode() not in content, path


def test_the_documents_examples_run(
    exported: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in exported.folder.glob("*.onnx"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    levels = np.random.default_rng(0).integers(0, 256, (15, 22, 3), dtype=np.uint8)
    Image.fromarray(levels).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    found: dict[str, Any] = {}
    for block in blocks:
        exec(block, found)

    restorer = superres.load(exported.path, device="cpu")
    estimate = restorer.restore(levels, estimate=True, blur=0.4, jpeg=0.3)
    assert np.abs(np.asarray(Image.open("out.png")).astype(int) - estimate).max() <= 1

    low = torch.from_numpy(found["picture"]) * 2 - 1
    conditioned = exported.model.condition(low, torch.tensor([[0.4, 0.3]]))
    right = sample(
        exported.model.diffusion,
        conditioned,
        conditioned.shape,
        draw=lambda: torch.from_numpy(found["noise"].copy()),
        sampler="ddim",
        steps=4,
        spacing="angle",
        clip_denoised=conditioned.clip,
    )
    shown = (conditioned.decode(right) + 1).clamp(0, 2) / 2
    assert np.abs(found["sample"] - shown.numpy()).max() < TOLERANCE


UNET = {"classes": 3, "label": 1}


@torch.no_grad()
def test_a_unet_with_a_class_is_torchs(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'superres[onnx]'")
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    params = tiny_params() | UNET
    params["model"].update(attention=[2], middle_attention=True)
    folder = saved(tmp_path / "model", params, 2, ["blur"])
    model = load_model(folder)
    made = {graph.name: graph for graph in graphs(load_model(folder))}
    assert list(made) == ["estimate", "denoiser"]
    content = onnx_files.as_onnx(made["denoiser"], {"entropies": ["blur"]})
    session = runtime.InferenceSession(content)
    for size in ((2, 7, 11), (1, 12, 10)):
        given = made["denoiser"].random(*size)
        got = session.run(None, {name: value.numpy() for name, value in given.items()})
        conditioned = model.condition(2 * given["picture"] - 1, given["entropies"])
        right = model.diffusion.p_mean_variance(
            conditioned, given["noisy"], given["timestep"], conditioned.clip
        )
        assert np.abs(got[0] - right.x0.numpy()).max() < TOLERANCE
        shown = (conditioned.decode(right.x0) + 1).clamp(0, 2) / 2
        assert np.abs(got[1] - shown.numpy()).max() < TOLERANCE


@torch.no_grad()
def test_a_unets_estimate_is_the_posteriors_mean(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", tiny_params(), 2, ["blur", "jpeg"])
    model = load_model(folder)
    estimate = graphs(load_model(folder))[0]
    given = estimate.random(2, 9, 12)
    conditioned = model.condition(2 * given["picture"] - 1, given["entropies"])
    right = drive(posterior_mean(model.diffusion, given["noise"], conditioned.clip), conditioned)
    shown = (conditioned.decode(right) + 1).clamp(0, 2) / 2
    assert (estimate.module(**given) - shown).abs().max() < TOLERANCE


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_enlarging_by_convolutions_is_the_networks_own(scale: int) -> None:
    low = torch.rand(2, 3, 5, 9)
    assert (enlarged(low, scale) - interpolated(low, scale)).abs().max() < 1e-5


def test_a_graph_that_differs_is_not_written(exported: SimpleNamespace) -> None:
    other = load_model(exported.path)
    with torch.no_grad():
        other.network.get_parameter("mean.out.bias").add_(0.1)
    content = (exported.folder / "best.onnx").read_bytes()
    with pytest.raises(superres.core.errors.SuperresError, match="restored differs from torch"):
        onnx_files.difference(content, graphs(other)[0])


def test_what_cannot_be_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(*words: str) -> str:
        assert main(["export", *words]) == 1
        return capsys.readouterr().err

    model = str(saved(tmp_path / "model", tiny_mean_denoiser_params(), 2, ["blur"]))
    assert "not a model folder" in said(str(tmp_path), str(tmp_path / "out.onnx"))
    assert "must end in .onnx for graphs, or in .pth" in said(model, str(tmp_path / "out.on"))
    assert "there is no folder" in said(model, str(tmp_path / "none" / "out.onnx"))
    monkeypatch.setattr(onnx_files, "NEEDED", ("onnx", "not_installed_here"))
    err = said(model, str(tmp_path / "out.onnx"))
    assert "needs not_installed_here: pip install 'superres[onnx]'" in err
    monkeypatch.setattr(onnx_files, "NEEDED", ())
    (tmp_path / "out-denoiser.onnx").write_text("precious")
    assert "out-denoiser.onnx: exists already; --overwrite" in said(
        model, str(tmp_path / "out.onnx")
    )
    assert not (tmp_path / "out.onnx").exists()


def test_without_a_folder_it_is_the_model_that_restores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(tmp_path / "none" / "out.onnx")]) == 1
    captured = capsys.readouterr()
    assert "model: in the box" in captured.out and "there is no folder" in captured.err
