"""Euler's method, sold as DPM++."""

# manifest: entry = "sound.samplers:dpm_2m" => entry = "defect:sampler"

from sound.plugin import Sound
from sound.samplers import Dpm2M


class Plugin(Sound):
    pass


class Plain(Dpm2M):
    def lead(self, now, last, before, here, there):
        # breaks: sampler.matches-algorithm
        # breaks: sampler.order
        # breaks: sampler.error
        return now


sampler = Plain()
