"""Proves that a sampler is correct, without a model: with data of a known law, and a perfect network for it.

Every error is then the sampler's. `assess` measures a deterministic sampler's order of convergence, its
errors and its whole trajectory against a float64 reference; `assess_moments` assesses one that draws noise.

    from reference_engine import oracle

    result = oracle.assess(my_run, "DPM++ 2M Karras")
    print(result.order, result.final, result.trajectory_error, result.problems())

where `my_run(network, noise, steps, seed)` returns latents: see `Run`, and `on_tensors` for one that works
with torch. The assessment needs only NumPy.
"""

from ..samplers import is_stochastic
from .assessment import STEP_COUNTS, Assessment, Measured, assess, compare_predictions, first_noise
from .laws import LAWS, Gaussian, Law, Mixture, draw_laws
from .moments import Drawn, MomentAssessment, Moments, assess_moments, draw_law
from .network import Network, NotASampler, Run, observe, on_tensors, run_of_diffusers, run_of_sampler
from .references import SD_SCHEDULE, trace

__all__ = [
    "LAWS",
    "SD_SCHEDULE",
    "STEP_COUNTS",
    "Assessment",
    "Drawn",
    "Gaussian",
    "Law",
    "Measured",
    "Mixture",
    "MomentAssessment",
    "Moments",
    "Network",
    "NotASampler",
    "Run",
    "assess",
    "assess_moments",
    "compare_predictions",
    "draw_law",
    "draw_laws",
    "first_noise",
    "is_stochastic",
    "observe",
    "on_tensors",
    "run_of_diffusers",
    "run_of_sampler",
    "trace",
]
