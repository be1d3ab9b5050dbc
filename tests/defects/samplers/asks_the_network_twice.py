"""Averages two calls of the network, and takes twice the time for the same picture."""

# manifest: entry = "sound.samplers:dpm_2m" => entry = "defect:sampler"

from sound.plugin import Sound
from sound.samplers import Dpm2M


class Plugin(Sound):
    pass


class Doubtful(Dpm2M):
    def ask(self, network, latents, timestep, ratio):
        return (  # breaks: sampler.matches-algorithm
            super().ask(network, latents, timestep, ratio) + super().ask(network, latents, timestep, ratio)
        ) / 2


sampler = Doubtful()
