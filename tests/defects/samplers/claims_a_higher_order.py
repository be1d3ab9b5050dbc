"""Of its own kind and of order 2 by its manifest; the step is Euler's."""

# manifest: entry = "sound.samplers:dpm_2m" => entry = "defect:sampler"
# manifest: algorithm = "DPM++ 2M Karras" => order = 2

from sound.plugin import Sound
from sound.samplers import Dpm2M


class Plugin(Sound):
    pass


class Plain(Dpm2M):
    def lead(self, now, last, before, here, there):
        return now  # breaks: sampler.order


sampler = Plain()
