"""The sampling algorithms, under their common names.

`build` combines one with a model's noise schedule. No heavy module is imported here, so that a configuration
is checked without torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from .schedule import Sampler

__all__ = [
    "DEFAULT_SAMPLER",
    "SAMPLERS",
    "Algorithm",
    "build",
    "canonical",
    "is_stochastic",
    "sampler_mistakes",
]

Check = Callable[[object], str]
"""Takes a parameter's value; returns the mistake, or an empty string."""


def _fraction(value: object) -> str:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return "" if number and 0.0 <= float(value) <= 1.0 else f"must be a number from 0 to 1, not {value!r}."  # type: ignore[arg-type]


def _switch(value: object) -> str:
    return "" if isinstance(value, bool) else f"must be true or false, not {value!r}."


def _spacing(value: object) -> str:
    known = ("leading", "linspace", "trailing")
    return "" if value in known else f"must be one of {', '.join(known)}, not {value!r}."


def _whole(low: int, high: int) -> Check:
    def check(value: object) -> str:
        whole = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return "" if whole else f"must be a whole number from {low} to {high}, not {value!r}."

    return check


@dataclass(frozen=True)
class Algorithm:
    """One algorithm: its name, its parameters, and other spellings. Every plugin has the six `certified`
    ones; the others are extras.
    """

    name: str
    parameters: Mapping[str, Check] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    certified: bool = True


_SPACED = {"timestep_spacing": _spacing}
_KARRAS = {"use_karras_sigmas": _switch, **_SPACED}

SAMPLERS: Mapping[str, Algorithm] = {
    algorithm.name: algorithm
    for algorithm in (
        Algorithm("DDIM", {"eta": _fraction, **_SPACED}),
        Algorithm("PNDM", _SPACED, ("PLMS",)),
        Algorithm("Euler", _KARRAS, ("Euler discrete",)),
        Algorithm("Euler a", _KARRAS, ("Euler ancestral", "Euler ancestral discrete")),
        Algorithm("DPM++ 2M Karras", {}, ("DPM++ 2M", "DPM-Solver++ 2M", "DPM-Solver++ 2M Karras")),
        Algorithm("UniPC Karras", {"solver_order": _whole(1, 3)}, ("UniPC",)),
        Algorithm("LMS", {"order": _whole(1, 4), **_KARRAS}, ("LMS discrete",), certified=False),
        Algorithm("Heun", _KARRAS, ("Heun discrete",), certified=False),
    )
}
"""By name. `eta` is the share of each step's noise drawn afresh, 0 (deterministic) to 1 (as DDPM): Song et
al. 2021, equation 16. `timestep_spacing` is Lin et al. 2023, table 2; without it the model's own, or the
algorithm's usual one. `use_karras_sigmas` spaces by Karras et al. 2022, equation 5.
"""

DEFAULT_SAMPLER = "DDIM"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold().replace("+", "p")).removesuffix("scheduler")


_BY_SPELLING = {
    _plain(spelling): algorithm.name
    for algorithm in SAMPLERS.values()
    for spelling in (algorithm.name, *algorithm.aliases)
}


def canonical(name: object) -> str | None:
    """The algorithm's canonical name, for any case, spaces, hyphens and underscores; None if unknown."""
    return _BY_SPELLING.get(_plain(name)) if isinstance(name, str) else None


def is_stochastic(algorithm: str, parameters: Mapping[str, Any] | None = None) -> bool:
    """Whether it draws noise at its steps, with these parameters."""
    name = canonical(algorithm)
    return name == "Euler a" or (name == "DDIM" and (parameters or {}).get("eta", 0.0) > 0)


def sampler_mistakes(table: Mapping[str, object]) -> list[str]:
    """Everything wrong with a `sampler_config` table, as sentences that begin with the key."""
    given = table.get("algorithm", DEFAULT_SAMPLER)
    name = canonical(given)
    if name is None:
        hint = did_you_mean(str(given), SAMPLERS)
        return [
            f"sampler_config.algorithm: {given!r} is not a sampler; there are {', '.join(SAMPLERS)}.{hint}"
        ]
    checks = SAMPLERS[name].parameters
    mistakes = []
    for key, value in table.items():
        if key == "algorithm":
            continue
        if key not in checks:
            takes = ", ".join(("algorithm", *checks))
            mistakes.append(f"sampler_config.{key}: {name} takes {takes}.{did_you_mean(str(key), checks)}")
        elif problem := checks[key](value):
            mistakes.append(f"sampler_config.{key}: {problem}")
    return mistakes


def build(algorithm: str, parameters: Mapping[str, Any], scheduler_config: Mapping[str, Any]) -> Sampler:
    """Builds the sampler for the noise schedule of a model's scheduler config.

    Raises ConfigError for an unknown algorithm or parameter, ModelNotLoaded for an unknown noise
    schedule. `clip_sample` and thresholding in the config are for pixels, and latents are never clipped.
    """
    if mistakes := sampler_mistakes({"algorithm": algorithm, **parameters}):
        raise ConfigError("The sampler", mistakes)
    from .building import assemble

    return assemble(canonical(algorithm) or algorithm, parameters, scheduler_config)
