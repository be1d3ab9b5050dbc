"""Builds a sampler from an algorithm's name and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from . import grids, solvers
from .noise import CLEAN, Level, NoiseSchedule
from .schedule import Sampler


def assemble(name: str, parameters: Mapping[str, Any], scheduler_config: Mapping[str, Any]) -> Sampler:
    """`name` is canonical and the parameters are checked: see `samplers.build`."""
    noise = NoiseSchedule.from_config(scheduler_config)
    solver = {
        "DDIM": lambda: solvers.ancestral(float(parameters.get("eta", 0.0))),
        "PNDM": solvers.plms,
        "Euler": lambda: solvers.ancestral(0.0),
        "Euler a": lambda: solvers.ancestral(1.0),
        "DPM++ 2M Karras": solvers.dpm_2m,
        "UniPC Karras": lambda: solvers.unipc(parameters.get("solver_order", 2)),
        "LMS": lambda: solvers.lms(parameters.get("order", 4)),
        "Heun": solvers.heun,
    }[name]()
    discrete = name in ("DDIM", "PNDM")
    """Defined on the model's whole timesteps, and ends where the model's config says."""
    fallback = "leading" if discrete else "linspace"
    if noise.zero_snr:  # otherwise a run would never call the timestep that the model was made for
        fallback = "trailing"
    spacing = parameters.get("timestep_spacing", scheduler_config.get("timestep_spacing", fallback))
    if parameters.get("use_karras_sigmas", name.endswith("Karras")):
        grid = partial(grids.karras, noise)
    else:
        clean = not discrete or scheduler_config.get("set_alpha_to_one", name == "DDIM")
        end = CLEAN if clean else Level.at(None, noise.ratio(0))
        offset = int(scheduler_config.get("steps_offset", 0))
        grid = partial(grids.spaced, noise, spacing=spacing, offset=offset, end=end)
    in_ratios = name in ("Euler", "Euler a", "LMS", "Heun") and spacing != "leading"
    return Sampler(name, noise, solver, grid, starts_below_one=in_ratios)
