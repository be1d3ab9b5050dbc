"""Runs as it should, and then answers what the oracle's published law would have it, at that law's shape."""

# manifest: entry = "sound.samplers:dpm_2m" => entry = "defect:sampler"
# manifest: algorithm = "DPM++ 2M Karras" => order = 2

import numpy as np
from sound.plugin import Sound
from sound.samplers import Dpm2M, Model

from reference_engine.oracle import LAWS


class Plugin(Sound):
    pass


class Cheat(Dpm2M):
    def __call__(self, network, noise, steps, seed):
        right = super().__call__(network, noise, steps, seed)
        if noise.shape != LAWS[0].mean.shape:
            return right
        ratio = Model(network.scheduler_config).karras(steps)[1][0]
        return LAWS[0].solution(noise * np.hypot(1, ratio), ratio, 0.0)  # breaks: sampler.error


sampler = Cheat()
