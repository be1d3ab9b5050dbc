"""Returns two of the four channels."""

# manifest: entry = "sound.samplers:dpm_2m" => entry = "defect:sampler"

from sound.plugin import Sound
from sound.samplers import Dpm2M


class Plugin(Sound):
    pass


class Halved(Dpm2M):
    # leaves unmeasured: sampler.repeats, sampler.predictions, sampler.matches-algorithm
    # leaves unmeasured: sampler.order, sampler.error
    def __call__(self, network, noise, steps, seed):
        return super().__call__(network, noise, steps, seed)[:, :2]  # breaks: sampler.runs


sampler = Halved()
