"""Draws the same noise whatever the seed."""

# manifest: entry = "sound.samplers:ancestral" => entry = "defect:sampler"

from sound.plugin import Sound
from sound.samplers import Ancestral


class Plugin(Sound):
    pass


class Fixed(Ancestral):
    def generator(self, seed):
        return super().generator(0)  # breaks: sampler.repeats


sampler = Fixed()
