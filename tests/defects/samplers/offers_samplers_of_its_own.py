"""Honest samplers: an extra algorithm, two of their own kinds, and one that works with torch."""

# breaks: nothing
# manifest also: [[samplers]]
# manifest also: name = "old"
# manifest also: entry = "defect:lms"
# manifest also: algorithm = "LMS"
# manifest also: parameters = { use_karras_sigmas = true }
# manifest also: [[samplers]]
# manifest also: name = "own"
# manifest also: entry = "defect:midpoint"
# manifest also: order = 2
# manifest also: [[samplers]]
# manifest also: name = "own and lively"
# manifest also: entry = "defect:half_ancestral"
# manifest also: stochastic = true
# manifest also: [[samplers]]
# manifest also: name = "torch"
# manifest also: entry = "defect:on_torch"
# manifest also: algorithm = "DPM++ 2M Karras"
# manifest also: prediction_types = ["v_prediction"]

from itertools import pairwise

import numpy as np
import torch
from numpy.polynomial import Polynomial
from sound.plugin import Sound
from sound.samplers import Ancestral, Model, denoised, dpm_2m

from reference_engine.oracle import on_tensors


class Plugin(Sound):
    pass


def lms(network, noise, steps, seed):
    """The polynomial through the last four slopes, integrated over the step."""
    times, ratios = Model(network.scheduler_config).karras(steps)
    z, slopes = noise * np.hypot(1, ratios[0]), []
    for index, (here, there) in enumerate(pairwise(ratios)):
        slopes = [(z - denoised(network, z / np.hypot(1, here), times[index], here)) / here, *slopes][:4]
        nodes = [ratios[index - back] for back in range(len(slopes))]
        for which, slope in enumerate(slopes):
            others = [node for node in nodes if node != nodes[which]]
            basis = Polynomial.fromroots(others) if others else Polynomial([1.0])
            area = (basis / basis(nodes[which])).integ()
            z = z + (area(there) - area(here)) * slope
    return z


def midpoint(network, noise, steps, seed):
    """The slope in the middle of each step, by the logarithm of the ratio; to clean latents by Euler."""
    model = Model(network.scheduler_config)
    times, ratios = model.karras(steps)
    z = noise * np.hypot(1, ratios[0])
    for timestep, here, there in zip(times, ratios, ratios[1:], strict=False):
        now = denoised(network, z / np.hypot(1, here), timestep, here)
        if there == 0:
            return now
        middle = np.sqrt(here * there)
        guess = now + middle / here * (z - now)
        at = np.interp(np.log(middle), model.logs, model.times)
        half = denoised(network, guess / np.hypot(1, middle), at, middle)
        z = half + there / here * (z - half)


class HalfAncestral(Ancestral):
    """Less fresh noise, and a longer step down in its place."""

    def __call__(self, network, noise, steps, seed):
        random = self.generator(seed)
        times, ratios = Model(network.scheduler_config).evenly(steps)
        z = noise * np.hypot(1, ratios[0])
        for timestep, here, there in zip(times, ratios, ratios[1:], strict=False):
            now = denoised(network, z / np.hypot(1, here), timestep, here)
            fresh = there * np.sqrt(1 - (there / here) ** 2) / 2
            z = (
                now
                + np.sqrt(there**2 - fresh**2) / here * (z - now)
                + fresh * random.standard_normal(z.shape)
            )
        return z


half_ancestral = HalfAncestral()


@on_tensors
def on_torch(network, noise, steps, seed):
    """With a network that takes and gives tensors."""

    class OnArrays:
        scheduler_config = network.scheduler_config

        def __call__(self, latents, timestep):
            return network(torch.from_numpy(latents).float(), torch.tensor(timestep)).double().numpy()

    return torch.from_numpy(dpm_2m(OnArrays(), noise.numpy(), steps, seed))
