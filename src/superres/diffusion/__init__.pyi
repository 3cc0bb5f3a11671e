from .losses import loss_terms as loss_terms
from .process import GaussianDiffusion as GaussianDiffusion
from .schedule import make_betas as make_betas
