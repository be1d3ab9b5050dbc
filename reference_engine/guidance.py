"""The SDK's advice to users, as data: models, their native sizes, numbers of steps. Results carry the advice
as warnings; nothing enforces it.

Memory and speed figures are claims of the models' publishers. They were not measured here, and are marked so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "MODELS",
    "NO_GAIN_OVER",
    "STEPS",
    "ModelAdvice",
    "StepsAdvice",
    "model_warnings",
    "steps_warnings",
]

UNMAINTAINED = (
    "Model v1.4 is no longer maintained. Move to v1.5; LoRAs and plugins made for v1.5 may not fit v1.4."
)


@dataclass(frozen=True)
class ModelAdvice:
    """One model type. `native_size` is a side in pixels; `text_width` the width of its text encoder's
    embeddings, `claimed_memory_gb` the least and the most GPU memory that it is claimed to need, in GB.
    """

    model_type: str
    native_size: int
    text_width: int
    claimed_memory_gb: tuple[float, float] | None
    advice: str
    maintained: bool = True
    successor: str | None = None


MODELS: Mapping[str, ModelAdvice] = {
    "v1.4": ModelAdvice("v1.4", 512, 768, None, UNMAINTAINED, maintained=False, successor="v1.5"),
    "v1.5": ModelAdvice("v1.5", 512, 768, (6, 6), "The choice for commercial plugins."),
    "v2.0": ModelAdvice(
        "v2.0",
        768,
        1024,
        (8, 12),
        "For detail, and to refine drafts of v1.5; claimed to be 30 to 40 % slower at 768 than v1.5 at 512.",
    ),
}
"""D1, D2 and D3: by model type."""


@dataclass(frozen=True)
class StepsAdvice:
    """The advised number of sampling steps for a purpose: from `low` to `high`, both included."""

    purpose: str
    low: int
    high: int

    def __contains__(self, steps: int) -> bool:
        return self.low <= steps <= self.high


STEPS: Mapping[str, StepsAdvice] = {
    advice.purpose: advice
    for advice in (
        StepsAdvice("most work", 20, 30),
        StepsAdvice("portraits", 28, 35),
        StepsAdvice("concept sketches", 15, 20),
        StepsAdvice("the best value", 25, 40),
    )
}
"""D5: by purpose."""

NO_GAIN_OVER = 50
"""More steps than this gain nothing, and are refused."""


def steps_warnings(steps: int) -> tuple[str, ...]:
    """A warning if this number of steps is advised for no purpose; else empty."""
    if any(steps in advice for advice in STEPS.values()):
        return ()
    low = min(advice.low for advice in STEPS.values())
    high = max(advice.high for advice in STEPS.values())
    advised = ", ".join(f"{advice.low} to {advice.high} for {name}" for name, advice in STEPS.items())
    effect = f"fewer than {low} leave detail out" if steps < low else f"more than {high} gain little"
    return (f"{steps} steps are outside what is advised ({advised}); {effect}.",)


def model_warnings(model_type: str) -> tuple[str, ...]:
    """A warning if the model type is no longer maintained; else empty."""
    return () if MODELS[model_type].maintained else (MODELS[model_type].advice,)
