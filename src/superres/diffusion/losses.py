"""Training losses, per sample.

Sources: Ho et al. 2020, section 3.4; Nichol & Dhariwal 2021, sections 3.1 and 3.3; Hang et al. 2023
("Efficient diffusion training via min-SNR weighting").
"""

from __future__ import annotations

import torch
from torch import Tensor

from superres.diffusion.process import Denoiser, GaussianDiffusion
from superres.diffusion.variational import Levels, mean_over_pixels, variational_term

LOSSES = ("mse", "rescaled_mse", "kl", "rescaled_kl")
WEIGHTINGS = ("prediction", "x0")


def loss_terms(
    diffusion: GaussianDiffusion,
    denoiser: Denoiser,
    x0: Tensor,
    t: Tensor,
    noise: Tensor,
    *,
    kind: str = "mse",
    weighting: str = "prediction",
    vb_weight: float = 1.0,
    min_snr_gamma: float | None = None,
    levels: Levels | None = None,
) -> dict[str, Tensor]:
    """Return the loss of each sample and its parts, each of shape (B,).

    Args:
        diffusion: the process.
        denoiser: the network.
        x0: what is diffused, (B, C, H, W): clean images in [-1, 1], or a scaled residual.
        t: timesteps of the process, (B,).
        noise: standard normal, as `x0`.
        kind: `mse`: squared error of the prediction plus, where the variance is learned, the
            variational term with the mean held fixed; `rescaled_mse`: that term times T / 1000
            (the hybrid loss of Improved DDPM); `kl`: the variational term alone; `rescaled_kl`:
            times T.
        weighting: squared error of the `prediction`, or of the `x0` that follows from it.
        vb_weight: a further factor on the variational term of the two squared errors.
        min_snr_gamma: weights the squared error so that, as an error of x0, it counts
            min(SNR, gamma); none leaves it alone.
        levels: the 8-bit images that `x0` stands for, if it is not those images.

    Returns:
        `loss`, and as far as they are part of it `mse` and `vb`, as added.

    Raises:
        ValueError: an unknown kind or weighting.
    """
    if weighting not in WEIGHTINGS:
        raise ValueError(f"weighting must be one of {', '.join(WEIGHTINGS)}, got {weighting!r}")
    if kind not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {kind!r}")
    x_t = diffusion.q_sample(x0, t, noise)
    output = denoiser(x_t, diffusion.model_timesteps(t))
    if kind in ("kl", "rescaled_kl"):
        vb = variational_term(diffusion, output, x0, x_t, t, clip_denoised=False, levels=levels)
        if kind == "rescaled_kl":
            vb = vb * diffusion.timesteps
        return {"loss": vb, "vb": vb}

    channels = x0.shape[1]
    if weighting == "x0":
        error = x0 - diffusion.x0_from_output(output[:, :channels], x_t, t)
    else:
        error = diffusion.target(x0, noise, t) - output[:, :channels]
    mse = mean_over_pixels(error.square())
    if min_snr_gamma is not None:
        measured = "x0" if weighting == "x0" else diffusion.prediction
        mse = mse * min_snr_weight(diffusion, t, min_snr_gamma, measured).to(mse.dtype)
    if not diffusion.learns_variance:
        return {"loss": mse, "mse": mse}
    # The variance alone learns from the variational term: it would pull at the mean otherwise.
    frozen = torch.cat([output[:, :channels].detach(), output[:, channels:]], dim=1)
    vb = variational_term(diffusion, frozen, x0, x_t, t, clip_denoised=False, levels=levels)
    vb = vb * vb_weight
    if kind == "rescaled_mse":
        vb = vb * (diffusion.timesteps / 1000)
    return {"loss": mse + vb, "mse": mse, "vb": vb}


def min_snr_weight(diffusion: GaussianDiffusion, t: Tensor, gamma: float, measured: str) -> Tensor:
    """Return the weight of a squared error at timesteps, (B,), float64 (Hang et al., section 3.4).

    Args:
        diffusion: the process.
        t: timesteps, (B,).
        gamma: limit of the signal-to-noise ratio; 5 in the paper.
        measured: whose error it is: `x0`, `epsilon` or `v`. The squared errors of one prediction
            stand as 1 : SNR : SNR + 1, so that its weight follows from that of x0.
    """
    signal = diffusion.at("alphas_cumprod", t, t.double())
    ratio = signal / (1 - signal)
    per_x0 = {"x0": torch.ones_like(ratio), "epsilon": ratio, "v": ratio + 1}
    return ratio.clamp(max=gamma) / per_x0[measured]
