"""What decides which requirements apply: traits of a candidate, capabilities of a machine."""

from __future__ import annotations

from typing import Literal, get_args

Kind = Literal["native", "diffusers-pipeline"]
"""How a candidate is called; each is a trait, too."""

Trait = Literal[
    "native",
    "diffusers-pipeline",
    "uses-lora",
    "generates-faces",
    "commercial",
    "above-50k",
    "declares-marks",
    "has-samplers",
    "has-a-sampler-by-name",
    "has-a-deterministic-sampler",
    "has-a-stochastic-sampler",
    "has-a-sampler-of-several-predictions",
    "ships-derivatives",
    "has-dependencies",
    "marks-by-sdk",
]
TRAITS: frozenset[Trait] = frozenset(get_args(Trait))

Capability = Literal["linux", "macos", "windows", "worker", "cuda", "uv", "pip-audit"]
"""The system that this is; whether a worker can be started; a GPU; programs."""
