"""Proof that a sampler is right, without a model: data of a known law, a network that is perfect for it.

Every error is then the sampler's own. `assess` measures a deterministic sampler's order of convergence, its
errors and its whole trajectory against a float64 reference; `assess_moments` judges one that draws noise.

    from reference_engine import oracle

    result = oracle.assess(my_run, "DPM++ 2M Karras")
    print(result.order, result.final, result.trajectory_error, result.problems())

where `my_run(network, noise, steps, seed)` returns latents: see `Run`. Needs NumPy; torch is imported when a
run begins.
"""

from .assessment import Assessment, Measured, assess
from .laws import LAWS, Gaussian, Law, Mixture
from .moments import MomentAssessment, assess_moments
from .network import Network, Run, run_of_diffusers, run_of_sampler
from .references import SD_SCHEDULE, is_stochastic, trace

__all__ = [
    "LAWS",
    "SD_SCHEDULE",
    "Assessment",
    "Gaussian",
    "Law",
    "Measured",
    "Mixture",
    "MomentAssessment",
    "Network",
    "Run",
    "assess",
    "assess_moments",
    "is_stochastic",
    "run_of_diffusers",
    "run_of_sampler",
    "trace",
]
