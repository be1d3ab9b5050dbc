"""Two samplers in plain NumPy, each step a method of its own, so that a defect changes just its own.

Latents are alpha x0 + sigma noise, and ratios are sigma / alpha.
"""

from itertools import pairwise

import numpy as np


class Model:
    """The noise schedule of a network."""

    def __init__(self, config):
        ends = np.sqrt([config["beta_start"], config["beta_end"]])
        kept = np.cumprod(1 - np.linspace(*ends, config["num_train_timesteps"]) ** 2)
        self.logs = np.log((1 - kept) / kept) / 2
        self.times = np.arange(len(kept))

    def karras(self, steps):
        """Timesteps and ratios of Karras et al. 2022, equation 5; the last ratio is where the run ends."""
        low, high = np.exp(self.logs[[0, -1]] / 7)
        ratios = np.linspace(high, low, steps) ** 7
        return np.interp(np.log(ratios), self.logs, self.times), np.append(ratios, 0.0)

    def evenly(self, steps):
        times = np.linspace(len(self.times) - 1, 0, steps)
        return times, np.append(np.exp(np.interp(times, self.times, self.logs)), 0.0)


def denoised(network, latents, timestep, ratio):
    """The network's prediction as x0."""
    kind, alpha = network.scheduler_config["prediction_type"], 1 / np.hypot(1, ratio)
    output = network(latents, timestep)
    if kind == "sample":
        return output
    if kind == "v_prediction":
        return alpha * latents - ratio * alpha * output
    return latents / alpha - ratio * output


class Dpm2M:
    """DPM-Solver++(2M) on Karras levels (Lu et al. 2022, algorithm 2)."""

    def __call__(self, network, noise, steps, seed):
        times, ratios = Model(network.scheduler_config).karras(steps)
        latents, last = noise.astype(np.float64), None
        for index, (here, there) in enumerate(pairwise(ratios)):
            now = self.ask(network, latents, times[index], here)
            lead = now if last is None else self.lead(now, last, ratios[index - 1], here, there)
            latents = self.step(latents, lead, here, there)
            last = now
        return latents

    def ask(self, network, latents, timestep, ratio):
        return denoised(network, latents, timestep, ratio)

    def lead(self, now, last, before, here, there):
        if there == 0:
            return now
        lean = np.log(here / there) / np.log(before / here) / 2
        return (1 + lean) * now - lean * last

    def step(self, latents, lead, here, there):
        z = latents * np.hypot(1, here)
        return (there / here * z + (1 - there / here) * lead) / np.hypot(1, there)


class Ancestral:
    """Euler ancestral: at each step as much fresh noise as the levels allow (Karras et al. 2022)."""

    def __call__(self, network, noise, steps, seed):
        random = self.generator(seed)
        times, ratios = Model(network.scheduler_config).evenly(steps)
        z = noise * np.hypot(1, ratios[0])
        for timestep, here, there in zip(times, ratios, ratios[1:], strict=False):
            now = denoised(network, z / np.hypot(1, here), timestep, here)
            fresh = there * np.sqrt(1 - (there / here) ** 2)
            down = there**2 / here
            z = now + down / here * (z - now) + self.amount(fresh) * random.standard_normal(z.shape)
        return z

    def generator(self, seed):
        return np.random.default_rng(seed)

    def amount(self, fresh):
        return fresh


dpm_2m, ancestral = Dpm2M(), Ancestral()
