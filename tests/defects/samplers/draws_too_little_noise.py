"""Turns its noise down, for smoother pictures."""

# manifest: entry = "sound.samplers:ancestral" => entry = "defect:sampler"

from sound.plugin import Sound
from sound.samplers import Ancestral


class Plugin(Sound):
    pass


class Smooth(Ancestral):
    def amount(self, fresh):
        return 0.9 * fresh  # breaks: sampler.moments


sampler = Smooth()
