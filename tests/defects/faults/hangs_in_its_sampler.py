"""Waits for good in the middle of a run."""

# manifest: entry = "sound.samplers:dpm_2m" => entry = "defect:sampler"

import threading

from sound.plugin import Sound
from sound.samplers import Dpm2M


class Plugin(Sound):
    pass


class Hung(Dpm2M):
    # leaves unmeasured: sampler.runs, sampler.repeats, sampler.predictions
    # leaves unmeasured: sampler.matches-algorithm, sampler.order, sampler.error
    def step(self, latents, lead, here, there):
        threading.Event().wait()  # breaks: sdk.answers-in-time


sampler = Hung()
