"""Draws its noise from NumPy's global random state."""

# manifest: entry = "sound.samplers:ancestral" => entry = "defect:sampler"

import numpy as np
from sound.plugin import Sound
from sound.samplers import Ancestral


class Plugin(Sound):
    pass


class Global(Ancestral):
    # leaves unmeasured: sampler.matches-algorithm
    def generator(self, seed):
        return np.random  # breaks: sampler.repeats


sampler = Global()
