"""Tells the network whole timesteps, though Karras levels lie between them."""

# manifest: entry = "sound.samplers:dpm_2m" => entry = "defect:sampler"

from sound.plugin import Sound
from sound.samplers import Dpm2M


class Plugin(Sound):
    pass


class Rounding(Dpm2M):
    def ask(self, network, latents, timestep, ratio):
        # breaks: sampler.predictions
        return super().ask(network, latents, round(timestep), ratio)  # breaks: sampler.matches-algorithm


sampler = Rounding()
