from .samplers import SAMPLERS as SAMPLERS
from .samplers import sample as sample
from .spacing import respaced as respaced
from .spacing import space_timesteps as space_timesteps
