"""Networks that are conditioned on a class, as guided-diffusion's are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from networks import random_network, small_params
from superres.core.errors import SuperresError
from superres.diffusion.config import DiffusionParams
from superres.model.folder import ModelSpec, SuperResolver, load_model, read_spec, save_model
from superres.networks.conditional_unet import SuperResUNet

CLASSES = 5
DIFFUSION = DiffusionParams(
    timesteps=100,
    schedule="linear",
    prediction="epsilon",
    preconditioning="none",
    variance="learned_range",
    target="picture",
    residual_base="bilinear",
    residual_scale=1.0,
    rescale_timesteps=False,
)


def inputs() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(3)
    x, low = (torch.randn(2, 3, size, size, generator=generator) for size in (8, 4))
    return x, torch.tensor([7, 300]), low, torch.tensor([[0.1, 0.9], [0.5, 0.0]])


def biased(network: SuperResUNet, embedding: torch.Tensor) -> torch.Tensor:
    """Return what the same network without classes says with this added to its timesteps'."""
    plain = SuperResUNet(network.params, network.entropies, network.out_channels).eval()
    weights = {k: v.clone() for k, v in network.state_dict().items() if k != "label_emb.weight"}
    weights["time_embed.2.bias"] += embedding
    plain.load_state_dict(weights)
    with torch.no_grad():
        return plain(*inputs())


def test_a_class_is_added_to_the_timestep() -> None:
    network = random_network(small_params(), classes=CLASSES)
    embeddings = network.label_emb.weight.detach()
    with torch.no_grad():
        mixed = network(*inputs(), torch.tensor([4, 1]))
        mean = network(*inputs())
    for row, label in enumerate([4, 1]):
        expected = biased(network, embeddings[label])[row]
        torch.testing.assert_close(mixed[row], expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(mean, biased(network, embeddings.mean(dim=0)), rtol=1e-5, atol=1e-5)
    assert (mean - mixed).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (torch.tensor([0, CLASSES]), "between 0 and 4, got"),
        (torch.tensor([-1, 0]), "between 0 and 4, got"),
        (torch.tensor([0]), "integers of shape"),
        (torch.tensor([0.0, 1.0]), r"got torch\.float32"),
    ],
)
def test_labels_that_no_class_has(label: torch.Tensor, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        random_network(small_params(), classes=CLASSES)(*inputs(), label)


def test_a_label_without_classes() -> None:
    with pytest.raises(ValueError, match="not class-conditional"):
        random_network(small_params())(*inputs(), torch.tensor([0, 1]))


def spec(**changes: Any) -> ModelSpec:
    values: dict[str, Any] = {
        "format": "superres-1",
        "model": small_params(),
        "diffusion": DIFFUSION,
        "scale": 2,
        "entropies": ["jpeg", "blur"],
        "degradation": {},
        "provenance": {},
    }
    return ModelSpec.model_validate({**values, **changes})


@pytest.mark.parametrize("label", [None, 3])
def test_a_model_folder_keeps_its_class(tmp_path: Path, label: int | None) -> None:
    network = random_network(small_params(), classes=CLASSES)
    save_model(tmp_path / "m", spec(classes=CLASSES, label=label), network.state_dict())
    model = load_model(tmp_path / "m")
    x, t, low, entropy = inputs()
    with torch.no_grad():
        expected = network(x, t, low, entropy, None if label is None else torch.tensor([3, 3]))
        said = model.condition(low, entropy)(x, t)
    # The loaded network is channels last, where kernels sum in another order.
    torch.testing.assert_close(said, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("changes", [{"classes": 3, "label": 3}, {"label": 0}])
def test_a_description_with_a_class_it_does_not_have(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    made = spec().model_copy(update=changes)
    save_model(tmp_path / "m", made, {})
    with pytest.raises(SuperresError, match=r"model\.json: label: .*number of classes"):
        read_spec(tmp_path / "m")


def test_classes_that_the_weights_do_not_have(tmp_path: Path) -> None:
    save_model(tmp_path / "m", spec(classes=CLASSES), random_network(small_params()).state_dict())
    with pytest.raises(SuperresError, match=r"missing: label_emb\.weight"):
        load_model(tmp_path / "m")
    assert SuperResolver(spec()).network.classes is None
