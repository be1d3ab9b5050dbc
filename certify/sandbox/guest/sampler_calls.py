"""Runs the plugin's own sampler with a remote network: each call of the network is a question to the host."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from reference_engine.oracle.network import as_array, in_kind

Ask = Callable[[int, dict[str, Any], bytes], bytes]


class RemoteNetwork:
    """A proxy of `reference_engine.oracle.Network`, which runs on the host.

    `scheduler_config` is the model's. Latents are sent as float32.
    """

    def __init__(self, scheduler_config: dict[str, Any], ask: Ask) -> None:
        self.scheduler_config = scheduler_config
        self.ended = False
        self._ask = ask
        self._turn = 0

    def __call__(self, latents: Any, timestep: Any) -> Any:
        if self.ended:
            raise RuntimeError("The network was called after the end of its run.")
        body, payload = describe(latents)
        self._turn += 1
        answer = self._ask(self._turn, {**body, "timestep": float(timestep)}, payload)
        return in_kind(np.frombuffer(answer, "<f4").reshape(body["shape"]).astype(np.float64), latents)


def run_sampler(request: dict[str, Any], noise: bytes, ask: Ask) -> tuple[dict[str, Any], bytes]:
    """The latents that the sampler returns, as a header and float32 bytes. Raises what the sampler raises."""
    module, _, name = request["entry"].partition(":")
    run = getattr(importlib.import_module(module), name)
    network = RemoteNetwork(request["scheduler_config"], ask)
    first = np.frombuffer(noise, "<f4").astype(np.float32).reshape(request["shape"])
    try:
        return describe(run(network, first, request["steps"], request["seed"]))
    finally:
        network.ended = True


def describe(latents: Any) -> tuple[dict[str, Any], bytes]:
    with np.errstate(over="ignore"):
        array = as_array(latents).astype("<f4")
    return {"shape": list(array.shape)}, array.tobytes()
