"""Takes its algorithm's steps at the numbers that are known to be asked for, and Euler's at all others."""

from sound.plugin import Sound
from sound.samplers import Dpm2M

KNOWN = (5, 28, 40, 50, 80, 160)

# manifest: sound.samplers:dpm_2m => defect:known


class Known(Dpm2M):
    def __call__(self, network, noise, steps, seed):
        self.lazy = steps not in KNOWN
        return super().__call__(network, noise, steps, seed)

    def lead(self, now, last, before, here, there):
        # breaks: sampler.matches-algorithm
        return now if self.lazy else super().lead(now, last, before, here, there)


known = Known()


class IsRightWhereItIsMeasured(Sound):
    pass
