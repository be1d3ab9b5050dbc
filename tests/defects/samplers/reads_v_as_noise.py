"""Takes every prediction for noise."""

# manifest: entry = "sound.samplers:dpm_2m" => entry = "defect:sampler"

import numpy as np
from sound.plugin import Sound
from sound.samplers import Dpm2M


class Plugin(Sound):
    pass


class OfNoise(Dpm2M):
    def ask(self, network, latents, timestep, ratio):
        return latents * np.hypot(1, ratio) - ratio * network(
            latents, timestep
        )  # breaks: sampler.predictions


sampler = OfNoise()
