"""Every sampler on networks that are perfect for known data, ours beside diffusers'.

    python -m benchmarks.samplers

Errors are RMS in the scale of the data, on independent Gaussians / on a mixture; "apart" is the largest
difference from the algorithm's float64 reference at 28 steps. Times are CPU seconds of a step on latents of
1 x 4 x 64 x 64, one thread, both arms in turns, the smallest of several rounds.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import diffusers
import torch

from reference_engine import oracle, samplers

STEPS, ROUNDS = 28, 15
OF_V = {"prediction_type": "v_prediction"}
KARRAS, TRAILING = {"use_karras_sigmas": True}, {"timestep_spacing": "trailing"}
SD = oracle.SD_SCHEDULE
FREE = {key: value for key, value in SD.items() if key != "set_alpha_to_one"}

ROWS: tuple[tuple[str, dict[str, Any], str, dict[str, Any]], ...] = (
    ("DDIM", {}, "DDIMScheduler", {**SD, "clip_sample": False}),
    ("DDIM", TRAILING, "DDIMScheduler", {**SD, "clip_sample": False, **TRAILING}),
    ("PNDM", {}, "PNDMScheduler", {**SD, "skip_prk_steps": True}),
    ("PNDM", TRAILING, "PNDMScheduler", {**SD, "skip_prk_steps": True, **TRAILING}),
    ("PNDM", {}, "PNDMScheduler", {**SD, "skip_prk_steps": True, **OF_V}),
    ("Euler", {}, "EulerDiscreteScheduler", FREE),
    ("Euler", KARRAS, "EulerDiscreteScheduler", {**FREE, **KARRAS}),
    ("DPM++ 2M Karras", {}, "DPMSolverMultistepScheduler", {**FREE, **KARRAS}),
    ("UniPC Karras", {}, "UniPCMultistepScheduler", {**FREE, **KARRAS}),
    ("UniPC Karras", {"solver_order": 3}, "UniPCMultistepScheduler", {**FREE, **KARRAS, "solver_order": 3}),
    ("LMS", KARRAS, "LMSDiscreteScheduler", {**FREE, **KARRAS}),
    ("Heun", KARRAS, "HeunDiscreteScheduler", {**FREE, **KARRAS}),
)
STOCHASTIC: tuple[tuple[str, dict[str, Any], str, dict[str, Any]], ...] = (
    ("DDIM", {"eta": 1.0}, "DDIMScheduler", {**SD, "clip_sample": False}),
    ("Euler a", {}, "EulerAncestralDiscreteScheduler", FREE),
)


def scheduler(kind: str, config: dict[str, Any]) -> Any:
    return getattr(diffusers, kind).from_config(config)


def can_run(kind: str) -> bool:
    """Their LMS needs SciPy, which this project does not."""
    return kind != "LMSDiscreteScheduler" or importlib.util.find_spec("scipy") is not None


def errors() -> None:
    print(f"{'':34}{'order':^15}{f'interior @{STEPS}':^19}{f'final @{STEPS}':^19}{'apart':>9}")
    for name, parameters, kind, config in ROWS:
        model = {**SD, "prediction_type": config["prediction_type"]}
        arms = {"ours": oracle.run_of_sampler(samplers.build(name, parameters, model))}
        if can_run(kind):
            arms["diffusers"] = oracle.run_of_diffusers(scheduler(kind, config))
        for arm, run in arms.items():
            result = oracle.assess(run, name, parameters=parameters, scheduler_config=model, steps=STEPS)
            gauss, mixture = result.measured
            print(
                f"{label(name, parameters, config)} {arm:10}"
                f"{gauss.order:6.2f} /{mixture.order:6.2f} "
                f"{gauss.interior:8.1e} /{mixture.interior:8.1e} "
                f"{gauss.final:8.1e} /{mixture.final:8.1e} {result.trajectory_error:9.1e}"
            )


def moments() -> None:
    print(
        f"\nSamplers that draw noise: standard deviation @{STEPS} (data: 1), its reference, worst step error"
    )
    for name, parameters, kind, config in STOCHASTIC:
        for arm, run in (
            ("ours", oracle.run_of_sampler(samplers.build(name, parameters, SD))),
            ("diffusers", oracle.run_of_diffusers(scheduler(kind, config), **parameters)),
        ):
            result = oracle.assess_moments(run, name, parameters=parameters, steps=STEPS)
            assert result.drawn is not None, "both arms draw"
            verdict = "right" if not result.problems() else " ".join(result.problems())
            print(
                f"{label(name, parameters, config)} {arm:10}{result.output.deviation:7.3f} "
                f"{result.expected.deviation:7.3f} {result.drawn.trajectory:9.1e}  {verdict}"
            )


def times() -> None:
    print(f"\nA step in microseconds of CPU: {'ours':>8}{'diffusers':>11}{'ratio':>8}")
    for name, parameters, kind, config in (*ROWS, *STOCHASTIC):
        if not can_run(kind):
            continue
        arms = (_ours(name, parameters, config), _theirs(kind, config, parameters))
        best = [float("inf"), float("inf")]
        for _ in range(ROUNDS):
            for index, arm in enumerate(arms):
                best[index] = min(best[index], arm())
        ours, theirs = (1e6 * seconds for seconds in best)
        print(f"{label(name, parameters, config)}{ours:8.0f}{theirs:11.0f}{ours / theirs:8.2f}")


NOISE = torch.randn((1, 4, 64, 64), generator=torch.Generator().manual_seed(0))


def _ours(name: str, parameters: dict[str, Any], config: dict[str, Any]) -> Callable[[], float]:
    sampler = samplers.build(name, parameters, {**SD, "prediction_type": config["prediction_type"]})

    def run() -> float:
        generator, started = torch.Generator().manual_seed(0), time.process_time()
        schedule = sampler.schedule(STEPS)
        latents = schedule.initial(NOISE)
        for index in range(len(schedule.timesteps)):
            shown = schedule.network_input(latents, index)
            latents = schedule.step(shown, index, latents, generator)
        return (time.process_time() - started) / len(schedule.timesteps)

    return run


def _theirs(kind: str, config: dict[str, Any], parameters: dict[str, Any]) -> Callable[[], float]:
    extra = {"eta": parameters["eta"]} if "eta" in parameters else {}
    drawing = "Ancestral" in kind or bool(extra)

    def run() -> float:
        fresh = scheduler(kind, config)
        if drawing:
            extra["generator"] = torch.Generator().manual_seed(0)
        started = time.process_time()
        fresh.set_timesteps(STEPS)
        latents = NOISE * fresh.init_noise_sigma
        for timestep in fresh.timesteps:
            shown = fresh.scale_model_input(latents, timestep)
            latents = fresh.step(shown, timestep, latents, **extra, return_dict=False)[0]
        return (time.process_time() - started) / len(fresh.timesteps)

    return run


def label(name: str, parameters: dict[str, Any], config: dict[str, Any]) -> str:
    short = {"use_karras_sigmas": "Karras", "timestep_spacing": "trailing"}
    told = [short.get(key, f"{key}={value}") for key, value in parameters.items()]
    told += ["v"] if config["prediction_type"] == "v_prediction" else []
    return f"{' '.join([name, *told]):30}"


def main() -> None:
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, diffusers {diffusers.__version__}, load {os.getloadavg()[0]:.1f}\n")
    with torch.inference_mode():
        errors()
        moments()
        times()


if __name__ == "__main__":
    main()
