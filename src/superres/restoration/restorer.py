"""`superres.load`: a trained model that restores any picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from PIL import Image
from torch import Tensor

from superres.core.device import pick_device
from superres.core.errors import SuperresError
from superres.core.orientation import upright
from superres.core.params import closest
from superres.core.precision import PRECISIONS, Computing
from superres.entropy.estimator import EntropyEstimator, load_estimator
from superres.model.folder import load_model
from superres.model.found import ESTIMATOR, find_model
from superres.model.resolver import SuperResolver
from superres.restoration.extremes import Extremes, extremes_are_evidence
from superres.restoration.job import Job, Tiling
from superres.restoration.metadata import described
from superres.restoration.options import check_sampling
from superres.restoration.picture import Picture, from_array, from_pil, to_array, to_pil
from superres.restoration.self_ensemble import averaged, check_ensemble
from superres.restoration.tiled import restore_in_bands
from superres.restoration.windows import Grid
from superres.sampling.batch import Sampling
from superres.sampling.samplers import evaluations

AUTO: Literal["auto"] = "auto"


class Restorer:
    """A model, ready to restore pictures.

    Args:
        model: the model.
        tiling: windows and batches.
        estimator: folder of the estimator of entropies, read when it is first asked for.

    Raises:
        SuperresError: a window or a batch that cannot be.
    """

    def __init__(self, model: SuperResolver, tiling: Tiling, estimator: str | Path) -> None:
        if tiling.window < 1 or tiling.window % model.spec.scale:
            raise SuperresError(
                f"window: must be a positive multiple of the model's scale {model.spec.scale}, "
                f"got {tiling.window}"
            )
        if tiling.batch < 1:
            raise SuperresError(f"batch: must be at least 1, got {tiling.batch}")
        self.model = model
        self.tiling = tiling
        self._folder = estimator
        self._estimator: EntropyEstimator | None = None

    @property
    def scale(self) -> int:
        """Edge of a restored picture over edge of its input."""
        return self.model.spec.scale

    @property
    def corruptions(self) -> list[str]:
        """Names of the entropies that `restore` takes."""
        return list(self.model.spec.entropies)

    def restore(
        self,
        image: Any,
        *,
        steps: int | None = None,
        sampler: str | None = None,
        spacing: str | None = None,
        temperature: float | None = None,
        fidelity: float | None = None,
        coring: float | None = None,
        sharpening: float | None = None,
        ceiling: float | None = None,
        estimate: bool | None = None,
        ensemble: int = 1,
        seed: int = 0,
        repeat: int = 0,
        entropy: Literal["auto"] | None = None,
        **entropies: float,
    ) -> Any:
        """Return an image restored: `scale` times as large, of the same kind.

        Args:
            image: a Pillow image (its orientation is applied; profile, resolution, EXIF and XMP go
                along in `info`), an array, uint8 or uint16, (H, W) or (H, W, channels), or a list
                of those.
            steps: timesteps visited; this and the next seven are by default those that the
                model's folder names, or 50 of `ddpm` where it names none. Giving one of them asks
                for a sample, also where the folder names the estimate.
            sampler: a name from `superres.sampling.samplers.SAMPLERS`.
            spacing: how they are spread.
            temperature: factor on the noise, in [0, 1].
            fidelity: share of the coarse part of its difference from the mean that is taken back
                from a sample, in [0, 1]: at 1 only the finest texture is drawn anew.
            coring: levels of 255, below which most of that difference is taken back, in [0, 255].
            sharpening: share of the mean's fine detail that is added to a sample, in [0, 2].
            ceiling: how much more than in the surroundings luma differs from the mean at most, a
                ratio of root mean squares in [0, 10]; 0 is none.
            estimate: the posterior's mean in one evaluation instead of a sample; by default
                what the model's folder names.
            ensemble: 2, 4 or 8 give the mean of as many estimates, of the image flipped and turned.
            seed: the same seed gives the same picture.
            repeat: which of a picture's samples.
            entropy: `auto` estimates the entropies that are not given; without it they are 0.
            entropies: how strongly the image was corrupted, in [0, 1], by the names in
                `corruptions`.

        Raises:
            SuperresError: an unknown name, a value out of range, an image that has no pixels.
        """
        how = self.sampling(
            sampler, steps, spacing, temperature, fidelity, coring, sharpening, ceiling, estimate
        )
        check_ensemble(ensemble, how is None)

        def one(image: Any) -> Any:
            if isinstance(image, Image.Image):
                picture = from_pil(upright(image))
            elif isinstance(image, np.ndarray):
                picture = from_array(image)
            else:
                raise SuperresError(
                    "an image is a Pillow image, an array or a list of them, "
                    f"got {type(image).__name__}"
                )
            chosen = self.entropies(picture, entropies, entropy)
            restored = averaged(
                picture, lambda side: self.run(side, chosen, how, seed, repeat), ensemble
            )
            if isinstance(image, np.ndarray):
                return to_array(restored, image)
            return described(to_pil(restored), image)

        return [one(each) for each in image] if isinstance(image, list | tuple) else one(image)

    def sampling(
        self,
        sampler: str | None = None,
        steps: int | None = None,
        spacing: str | None = None,
        temperature: float | None = None,
        fidelity: float | None = None,
        coring: float | None = None,
        sharpening: float | None = None,
        ceiling: float | None = None,
        estimate: bool | None = None,
    ) -> Sampling | None:
        """Return how to sample: as asked, and where nothing is, as the model's folder says.

        Another sampler than the model's own has its own defaults, since steps and spacing of one do
        not suit another. None stands for the estimate.
        """
        asked: dict[str, Any] = {"sampler": sampler, "steps": steps, "spacing": spacing}
        asked |= {"temperature": temperature, "fidelity": fidelity}
        asked |= {"coring": coring, "sharpening": sharpening, "ceiling": ceiling}
        asked = {key: one for key, one in asked.items() if one is not None}
        usual = Sampling()
        known = self.model.spec.sampling
        if estimate is None and known is not None and known.estimate:
            estimate = not asked
        if estimate:
            return None
        if known is not None and sampler in (None, known.sampler):
            usual = Sampling(**known.model_dump(exclude={"estimate", "student"}))
        return replace(usual, **asked)

    def entropies(
        self, picture: Picture, given: Mapping[str, float], entropy: str | None = None
    ) -> dict[str, float]:
        """Return an entropy for each of the model's corruptions, in its order.

        Raises:
            SuperresError: an unknown name, a value out of range, no estimator for this model.
        """
        for name, value in given.items():
            if name not in self.corruptions:
                known = ", ".join(self.corruptions) or "none"
                raise SuperresError(
                    f"unknown entropy or option {name!r}{closest(name, self.corruptions)}; the "
                    f"model's corruptions: {known}"
                )
            if not 0 <= value <= 1:
                raise SuperresError(f"{name}: must be between 0 and 1, got {value}")
        if entropy not in (AUTO, None):
            raise SuperresError(f"entropy: must be 'auto' or None, got {entropy!r}")
        entropies = dict.fromkeys(self.corruptions, 0.0)
        if entropy == AUTO and set(self.corruptions) - set(given):
            entropies |= self.estimator().estimate(picture.visible_part().signal())
        return entropies | {name: float(value) for name, value in given.items()}

    def estimator(self) -> EntropyEstimator:
        """Return the estimator of entropies.

        Raises:
            SuperresError: there is none, or it is for other corruptions.
        """
        if self._estimator is None:
            estimator = load_estimator(self._folder)
            estimator.check_model(self.model.spec.entropies, self.model.spec.degradation)
            self._estimator = estimator
        return self._estimator

    def check(self, how: Sampling | None) -> None:
        """Refuse what the model cannot do, before any time is spent.

        Raises:
            SuperresError: naming option, value and what is allowed.
        """
        if how is None:
            return
        check_sampling(how, self.model)

    def windows(self, picture: Picture, how: Sampling | None) -> int:
        """Return how many windows restoring a picture evaluates, for a progress bar."""
        height, width = (edge * self.scale for edge in self._padded_size(picture))
        times = 1 if how is None else evaluations(how.sampler, how.steps)
        grid = Grid((height, width), self.tiling.window, self.scale, self.model.size_multiple)
        return times * len(grid)

    def run(
        self,
        picture: Picture,
        entropies: Mapping[str, float],
        how: Sampling | None,
        seed: int = 0,
        repeat: int = 0,
        watch: Callable[[int], object] | None = None,
    ) -> Picture:
        """Return a picture restored.

        Args:
            picture: the input.
            entropies: one for each corruption; see `entropies`.
            how: how to sample; None for the estimate.
            seed: of the noise.
            repeat: which of the picture's samples.
            watch: called with the number of windows evaluated.

        Raises:
            SuperresError: something that the model cannot do.
        """
        self.check(how)
        model = self.model
        entropy = torch.tensor([[entropies[name] for name in self.corruptions]])
        low = _padded(picture.signal(model.device), self._padded_size(picture))
        evident = extremes_are_evidence(model.spec.degradation, entropies)
        job = Job(
            model,
            low,
            entropy.to(model.device),
            picture.identity,
            seed,
            self.tiling,
            Extremes.of(low, self.scale) if evident else None,
        )
        bands = restore_in_bands(job, how, repeat, watch)
        height, width = (edge * self.scale for edge in picture.size)
        wanted = (
            (slice(band.top, min(band.bottom, height)), rows[:, :, : height - band.top, :width])
            for band, rows in bands
            if band.top < height
        )
        return picture.restored((height, width), wanted)

    def _padded_size(self, picture: Picture) -> tuple[int, int]:
        """Return height and width of what networks see: next to no pixels cannot be normalised."""
        least = -(-2 * self.model.size_multiple // self.scale)
        return max(picture.size[0], least), max(picture.size[1], least)


def _padded(low: Tensor, size: tuple[int, int]) -> Tensor:
    """Return a picture with its last row and column repeated up to a size."""
    missing = (0, size[1] - low.shape[3], 0, size[0] - low.shape[2])
    return F.pad(low, missing, mode="replicate") if any(missing) else low


def load(
    folder: str | Path | None = None,
    *,
    device: str | None = None,
    entropy_estimator: str | Path | None = None,
    window: int | None = None,
    batch: int = Tiling().batch,
    precision: str = Computing().precision,
    compiled: bool = Computing().compiled,
    fast: bool = False,
) -> Restorer:
    """Return the model of a folder, ready to restore pictures.

    Args:
        folder: a model folder; by default `models/best` where there is one, else the model that
            comes with the package.
        device: `cpu`, `cuda:1`, ...; by default SUPERRES_DEVICE, else a GPU where there is one,
            Apple's too.
        entropy_estimator: folder of the estimator for `entropy="auto"`; by default `entropy` beside
            `folder`.
        window: edge of the largest square window that the network sees, in pixels of the restored
            picture, a multiple of the scale; by default about 512. Windows are as large as the
            picture asks for, and have no more pixels.
        batch: windows of that size per network evaluation.
        precision: what the network computes in: `fp32`, `bf16` or `fp16`.
        compiled: with torch.compile, which takes minutes first.
        fast: the folder's student, which samples in few evaluations (docs/distill.md).

    Raises:
        SuperresError: no model there, one of another kind or without a student, a device or a
            precision that cannot be used.
    """
    if precision not in PRECISIONS:
        raise SuperresError(f"precision: must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    found = find_model(folder).folder
    how = Computing(precision, compiled)
    model = load_model(found, pick_device(device, apple=True), how, fast)
    usual = Tiling().fitting(model.spec.scale)
    tiling = Tiling(usual.window if window is None else window, batch)
    return Restorer(model, tiling, entropy_estimator or estimator_beside(found))


def estimator_beside(folder: str | Path) -> Path:
    """Return where the estimator of entropies lies that goes with the model of a folder."""
    return Path(folder).parent / ESTIMATOR
