"""The samplers table of the manifest."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationInfo,
    field_validator,
)

from certify.candidate.manifest_types import UNIQUE, Entry, Filled, Table, each_once, wrong
from certify.errors import did_you_mean
from reference_engine.samplers import SAMPLERS, canonical, is_stochastic, sampler_mistakes

PredictionType = Literal["epsilon", "v_prediction", "sample"]


class Sampler(Table):
    """A sampler of the plugin's own."""

    name: Filled = Field(description="A name for it, as users see it.")
    entry: Entry = Field(
        description='What is called, as "module:function", with network, noise, steps and seed.'
    )
    algorithm: StrictStr | None = Field(
        default=None,
        description='The SDK\'s algorithm that it is, for instance "DPM++ 2M Karras"; left out, one of its '
        "own kind.",
    )
    parameters: dict[StrictStr, StrictBool | StrictInt | StrictFloat | StrictStr] = Field(
        default_factory=dict,
        validate_default=True,
        description="The algorithm's parameters, as in sampler_config: eta, order, use_karras_sigmas ...",
    )
    stochastic: StrictBool | None = Field(
        default=None,
        validate_default=True,
        description="Whether it draws noise on its way: true or false. Of an algorithm it is known.",
    )
    order: StrictInt | StrictFloat | None = Field(
        default=None,
        ge=1,
        le=10,
        validate_default=True,
        description="The order of convergence that one of its own kind claims; left out, 1.",
    )
    prediction_types: Annotated[tuple[PredictionType, ...], AfterValidator(each_once)] = Field(
        default=("epsilon",),
        min_length=1,
        json_schema_extra=UNIQUE,
        description="The kinds of networks that it works with, by scheduler_config's prediction_type.",
    )

    @property
    def draws_noise(self) -> bool:
        if self.algorithm is not None:
            return is_stochastic(self.algorithm, self.parameters)
        return bool(self.stochastic)

    @field_validator("algorithm", mode="after")
    @classmethod
    def _known_algorithm(cls, name: str | None) -> str | None:
        return _canonical(name) if name is not None else None

    @field_validator("parameters", mode="after")
    @classmethod
    def _fit_the_algorithm(cls, parameters: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "algorithm" not in info.data or not parameters:
            return parameters
        if (algorithm := info.data["algorithm"]) is None:
            raise wrong("parameters need an algorithm, but none is named")
        mistakes = sampler_mistakes({**parameters, "algorithm": algorithm})
        if mistakes:
            raise wrong("; ".join(text.removeprefix("sampler_config.").rstrip(".") for text in mistakes))
        return parameters

    @field_validator("stochastic", mode="after")
    @classmethod
    def _agrees_with_the_algorithm(cls, stochastic: bool | None, info: ValidationInfo) -> bool | None:
        algorithm = info.data.get("algorithm")
        if stochastic is not None and algorithm is not None and "parameters" in info.data:
            known = is_stochastic(algorithm, info.data["parameters"])
            if stochastic != known:
                does = "draws" if known else "draws no"
                raise wrong(f"with these parameters {algorithm} {does} noise")
        return stochastic

    @field_validator("order", mode="after")
    @classmethod
    def _of_its_own_kind(cls, order: float | None, info: ValidationInfo) -> float | None:
        if order is not None and info.data.get("algorithm") is not None:
            raise wrong("the order of an algorithm is known; set order only for a sampler without algorithm")
        if order is not None and info.data.get("stochastic"):
            raise wrong("a stochastic sampler has no measurable order")
        return order


def named_once(samplers: tuple[Sampler, ...]) -> tuple[Sampler, ...]:
    names = [sampler.name for sampler in samplers]
    for name in names:
        if names.count(name) > 1:
            raise wrong(f"two samplers are named {json.dumps(name)}")
    return samplers


def _canonical(name: str) -> str:
    """The SDK's spelling of an algorithm's name."""
    known = canonical(name)
    if known is None:
        hint = did_you_mean(name, SAMPLERS)
        raise wrong(f"{json.dumps(name)} is not one of {', '.join(SAMPLERS)}" + (f". {hint}" if hint else ""))
    return known
