"""The sampling algorithms, under the names users know.

Each is a diffusers scheduler, built from the model's own scheduler config, so that the noise schedule is the
model's and only the solver is the user's. diffusers is imported when a sampler is built, not before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import did_you_mean

Check = Callable[[object], str]
"""Takes a parameter's value; returns what is wrong with it, or an empty string."""


@dataclass(frozen=True)
class Sampler:
    """One algorithm: `build(scheduler_config, parameters)` returns a fresh scheduler (they keep state: one
    a run).
    """

    name: str
    build: Callable[[Mapping[str, Any], Mapping[str, Any]], Any]
    parameters: Mapping[str, Check] = field(default_factory=dict)
    step_parameters: tuple[str, ...] = ()
    """Those parameters that go to every `scheduler.step` and not to the scheduler."""


def _fraction(value: object) -> str:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return "" if number and 0.0 <= float(value) <= 1.0 else f"must be a number from 0 to 1, not {value!r}."  # type: ignore[arg-type]


def _switch(value: object) -> str:
    return "" if isinstance(value, bool) else f"must be true or false, not {value!r}."


def _ddim(scheduler_config: Mapping[str, Any], parameters: Mapping[str, Any]) -> Any:
    from diffusers import DDIMScheduler

    kind: Any = DDIMScheduler
    return kind.from_config(dict(scheduler_config))


def _euler(scheduler_config: Mapping[str, Any], parameters: Mapping[str, Any]) -> Any:
    from diffusers import EulerDiscreteScheduler

    kind: Any = EulerDiscreteScheduler
    karras = bool(parameters.get("use_karras_sigmas", False))
    return kind.from_config(dict(scheduler_config), use_karras_sigmas=karras)


SAMPLERS: Mapping[str, Sampler] = {
    sampler.name: sampler
    for sampler in (
        Sampler("DDIM", _ddim, {"eta": _fraction}, step_parameters=("eta",)),
        Sampler("Euler", _euler, {"use_karras_sigmas": _switch}),
    )
}
"""By name. `eta` is DDIM's share of fresh noise, 0 (deterministic) to 1 (as DDPM): Song et al. 2021,
equation 16.
"""

DEFAULT_SAMPLER = "DDIM"


def sampler_mistakes(table: Mapping[str, object]) -> list[str]:
    """Everything wrong with a `sampler_config` table, as sentences that begin with the key."""
    name = table.get("algorithm", DEFAULT_SAMPLER)
    if not isinstance(name, str) or name not in SAMPLERS:
        hint = did_you_mean(str(name), SAMPLERS)
        return [
            f"sampler_config.algorithm: {name!r} is not a sampler; there are {', '.join(SAMPLERS)}.{hint}"
        ]
    checks = SAMPLERS[name].parameters
    mistakes = []
    for key, value in table.items():
        if key == "algorithm":
            continue
        if key not in checks:
            takes = ", ".join(("algorithm", *checks))
            mistakes.append(f"sampler_config.{key}: {name} takes {takes}.{did_you_mean(key, checks)}")
        elif problem := checks[key](value):
            mistakes.append(f"sampler_config.{key}: {problem}")
    return mistakes
