"""Models that were saved long ago: a folder of each format that there has been is kept."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from superres.core.errors import SuperresError
from superres.core.tensors import to_pictures
from superres.degradation.chain import Degradation
from superres.diffusion.config import DiffusionParams
from superres.model import spec as spec_module
from superres.model.folder import load_model, read_spec, save_model
from superres.model.spec import FORMAT, ModelSpec
from superres.networks.config import UNetParams
from superres.sampling.batch import Batch, Sampling
from support import STORED

FOLDER = STORED / "model-superres-1"


def test_an_old_model_restores_the_same_pixels() -> None:
    model = load_model(FOLDER)
    expected = np.load(STORED / "restored-superres-1.npz")
    batch = Batch(model, expected["low"], np.array([[0.25, 0.75]]), ["a"], seed=0)
    restored = {"sample": batch.sample(Sampling(steps=5)), "estimate": batch.estimate()}
    for name, signal in restored.items():
        # Other processors sum in another order, which can move a value across a rounding border.
        difference = to_pictures(signal).astype(int) - expected[name]
        assert abs(difference).max() <= 1, name
        assert (difference != 0).mean() < 0.01, name


def test_a_model_is_stored_as_it_was_read(tmp_path: Path) -> None:
    model = load_model(FOLDER)
    save_model(tmp_path / "m", model.spec, model.network.state_dict())
    for name in ("model.json", "weights.safetensors"):
        assert (tmp_path / "m" / name).read_bytes() == (FOLDER / name).read_bytes(), name
    degradation = Degradation.from_json(model.spec.degradation)
    assert degradation.to_json() == model.spec.degradation


@pytest.mark.parametrize(
    ("section", "params"), [("model", UNetParams), ("diffusion", DiffusionParams)]
)
def test_params_of_later_have_a_value_for_models_of_before(section: str, params: Any) -> None:
    """Fails where a param is added without a row in `FORMAT.added`."""
    stored = json.loads((FOLDER / "model.json").read_text())[section]
    added = {path.partition(".")[2] for path in FORMAT.added if path.startswith(f"{section}.")}
    assert set(params.model_fields) <= set(stored) | added
    assert FORMAT.name in get_args(ModelSpec.model_fields["format"].annotation)


def changed(folder: Path, change: dict[str, Any]) -> Path:
    shutil.copytree(FOLDER, folder)
    description = json.loads((folder / "model.json").read_text())
    for path, value in change.items():
        *sections, key = path.split(".")
        holder = description
        for section in sections:
            holder = holder[section]
        holder[key] = value
    (folder / "model.json").write_text(json.dumps(description))
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model.rotary": True}, r"model\.json: model\.unet\.rotary: unknown to this version"),
        ({"mood": "good"}, r"model\.json: mood: unknown to this version"),
        ({"format": "superres-2"}, r"model\.json: format: 'superres-2' is unknown .* superres-1"),
        ({"diffusion.schedule": "steep"}, r"model\.json: diffusion\.schedule: .* 'linear'"),
    ],
)
def test_models_of_later_are_refused_by_what_is_new(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(SuperresError, match=message):
        read_spec(changed(tmp_path / "m", change))


def test_older_descriptions_are_upgraded_and_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def upgraded(old: dict[str, Any]) -> dict[str, Any]:
        enlargement = old.pop("enlargement")
        del old["diffusion"]["schedule"]
        return {**old, "format": "superres-1", "scale": enlargement}

    newer = replace(
        FORMAT,
        upgrades={"superres-0": upgraded},
        added={**FORMAT.added, "diffusion.schedule": "cosine"},
    )
    monkeypatch.setattr(spec_module, "FORMAT", newer)
    older = changed(tmp_path / "m", {"format": "superres-0", "enlargement": 4})
    spec = read_spec(older)
    assert (spec.scale, spec.diffusion.schedule) == (4, "cosine")
    assert read_spec(FOLDER).diffusion.schedule == "linear", "what is stored is kept"


def test_descriptions_from_before_classes(tmp_path: Path) -> None:
    folder = changed(tmp_path / "m", {})
    description = json.loads((folder / "model.json").read_text())
    for key in ("classes", "label", "dropped"):
        del description[key]
    (folder / "model.json").write_text(json.dumps(description))
    spec = read_spec(folder)
    assert (spec.classes, spec.label, spec.dropped) == (None, None, [])


@pytest.mark.parametrize(("stored", "read"), [(24.0, 1.2), (255, 1.2), (10.0, 10.0), (0.0, 0.0)])
def test_ceilings_in_levels_are_taken_for_the_usual_one(
    tmp_path: Path, stored: float, read: float
) -> None:
    sampling = {"sampler": "ddim", "steps": 2, "spacing": "linear", "temperature": 1.0}
    older = changed(tmp_path / "m", {"sampling": {**sampling, "ceiling": stored}})
    found = read_spec(older).sampling
    assert found is not None and found.ceiling == read


def test_a_ceiling_that_never_was_is_refused(tmp_path: Path) -> None:
    sampling = {"sampler": "ddim", "steps": 2, "spacing": "linear", "temperature": 1.0}
    wrong = changed(tmp_path / "m", {"sampling": {**sampling, "ceiling": 300.0}})
    with pytest.raises(SuperresError, match=r"sampling\.ceiling: .* less than or equal to 10"):
        read_spec(wrong)
