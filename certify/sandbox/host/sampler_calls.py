"""Runs the plugin's own sampler in its worker with a network on the host. Each call of the network is a
question of the worker, so the host sees the inputs itself and need not trust the worker."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from certify.sandbox.host.faults import MalformedReply
from certify.sandbox.host.session import Session

MAX_LATENTS = 1 << 20
"""Values in one frame; a run of the suites has at most 16,384."""

Latents = npt.NDArray[np.float32]
Predict = Callable[[Latents, float], npt.NDArray[Any]]
"""The network: latents and timestep to a prediction of the latents' shape."""


class _Latents(BaseModel):
    """The shape of latents whose float32 values are the payload."""

    model_config = ConfigDict(extra="forbid", strict=True)

    shape: list[Annotated[int, Field(ge=0, le=4096)]] = Field(max_length=6)


class _Call(_Latents):
    """A call of the network."""

    timestep: float = Field(allow_inf_nan=False)


_Row = TypeVar("_Row", bound=_Latents)


def sample(
    session: Session, deadline: float, request: Mapping[str, Any], network: Predict, noise: Latents
) -> Latents:
    """The latents that the sampler returns; only their format is checked, not their shape or values.

    Raises PluginError for an exception of the sampler, the exceptions of `network`, and other faults as
    `Session.converse`. All but PluginError end the session.
    """
    parameters = {**request, "shape": list(noise.shape)}
    shown = json.dumps(parameters)[:500]

    def respond(header: dict[str, Any], payload: bytes) -> bytes:
        call, latents = _read(_Call, header, payload, shown)
        return _bytes_of(network(latents, call.timestep))

    reply = session.converse("sample", deadline, respond, _bytes_of(noise), request=parameters)
    try:
        return _read(_Latents, reply.body, reply.payload, shown)[1]
    except MalformedReply:
        session.end()
        raise


def _read(form: type[_Row], header: Mapping[str, Any], payload: bytes, shown: str) -> tuple[_Row, Latents]:
    fields = {key: value for key, value in header.items() if key not in ("nonce", "ok", "turn")}
    try:
        row = form.model_validate(fields)
    except ValidationError as error:
        raise MalformedReply(f"not latents: {error.error_count()} invalid fields", shown) from None
    count = math.prod(row.shape)
    if count > MAX_LATENTS:
        raise MalformedReply(f"latents of {count} values, over {MAX_LATENTS}", shown)
    if len(payload) != 4 * count:
        raise MalformedReply(f"{len(payload)} bytes for latents of {count} float32 values", shown)
    return row, np.frombuffer(payload, "<f4").astype(np.float32).reshape(row.shape)


def _bytes_of(latents: npt.NDArray[Any]) -> bytes:
    with np.errstate(over="ignore"):
        return latents.astype("<f4").tobytes()
