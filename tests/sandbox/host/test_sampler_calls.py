"""A sampler's run is a conversation: the judge sees every call of its network, and believes nothing else."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.sandbox.host import sampler_calls as sampling
from certify.sandbox.host.faults import CandidateFault, MalformedReply, PluginError, TimedOut, WorkerEnded
from certify.sandbox.host.plugin import RemotePlugin
from certify.sandbox.host.session import Ring, Session
from certify.sandbox.protocol import Frame

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="workers are run on Linux")
Remote = Callable[..., RemotePlugin]
NOISE = np.random.default_rng(1).standard_normal((1, 4, 8, 8)).astype(np.float32)


class Seen:
    """The judge's network: answers half of what it is shown, and keeps that."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, float]] = []

    def __call__(self, latents: Any, timestep: float) -> Any:
        self.calls.append((latents, timestep))
        return latents / 2


def sample(plugin: RemotePlugin, name: str, network: Any = None, steps: int = 5, seed: int = 3) -> Any:
    return plugin.sample(f"samplers:{name}", network or Seen(), NOISE, steps, seed, {"beta_start": 0.1})


@on_linux
def test_the_judge_sees_every_call_and_what_comes_out(remote: Remote) -> None:
    plugin, seen, wanted = remote(), Seen(), Seen()
    output = sample(plugin, "honest", seen)
    latents = NOISE
    for step in range(5):
        latents = latents - wanted(latents, 10.0 * (5 - step)) / 8
    assert np.array_equal(output, latents)
    assert [timestep for _, timestep in seen.calls] == [50.0, 40.0, 30.0, 20.0, 10.0]
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(seen.calls, wanted.calls, strict=True))
    assert (plugin.ledger.calls, plugin.ledger.faults) == (1, [])


@on_linux
def test_a_sampler_is_given_noise_steps_seed_and_the_models_config(remote: Remote) -> None:
    with pytest.raises(PluginError) as error:
        sample(remote(), "tells", steps=28, seed=2**40)
    assert json.loads(error.value.message) == ["float32", [1, 4, 8, 8], 28, 2**40, {"beta_start": 0.1}]


@on_linux
def test_what_a_sampler_raises_is_a_refusal_and_the_worker_lives(remote: Remote) -> None:
    plugin = remote()
    for name, error_type in (
        ("raises", "ArithmeticError"),
        ("no_timestep", "ValueError"),
        ("nothing", "NotASampler"),
        ("missing", "AttributeError"),
    ):
        with pytest.raises(PluginError) as error:
            sample(plugin, name)
        assert error.value.error_type == error_type
    pid = plugin._session.pid if plugin._session else 0
    sample(plugin, "honest")
    assert plugin._session and plugin._session.pid == pid
    assert plugin.ledger.faults == []


@on_linux
@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("exits", WorkerEnded, "exited with code 3"),
        ("hangs", TimedOut, "within the deadline"),
        ("endless", TimedOut, "within the deadline"),
        ("forges_a_turn", MalformedReply, "out of turn"),
        ("forges_a_nonce", MalformedReply, "wrong nonce"),
        ("asks_in_advance", MalformedReply, "out of turn"),
        ("lies_about_its_shape", MalformedReply, "latents of 67108864 values"),
    ],
)
def test_a_fault_in_a_run_is_entered_and_a_fresh_worker_serves_the_next(
    remote: Remote, name: str, kind: type[CandidateFault], said: str
) -> None:
    plugin = remote()
    plugin.load()
    started = time.monotonic()
    with pytest.raises(kind, match=said) as error:
        sample(plugin, name)
    assert time.monotonic() - started < 5, "the deadline is of the whole conversation: half a second"
    assert f'"entry": "samplers:{name}", "steps": 5' in error.value.request
    assert [fault for _, fault in plugin.ledger.faults] == [error.value]
    assert sample(plugin, "honest").shape == NOISE.shape


@on_linux
@pytest.mark.parametrize("name", ["not_a_number", "another_shape"])
def test_latents_of_any_shape_and_value_are_passed_on_to_be_judged(remote: Remote, name: str) -> None:
    seen = Seen()
    output = sample(remote(), name, seen)
    assert np.isnan(seen.calls[0][0]).all() == (name == "not_a_number")
    assert output.shape == ((1, 1, 8, 8) if name == "another_shape" else NOISE.shape)


@on_linux
def test_what_the_judges_network_raises_ends_the_run_and_the_worker(remote: Remote) -> None:
    plugin = remote()

    def stop(latents: Any, timestep: float) -> Any:
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        sample(plugin, "endless", stop)
    assert plugin._session is not None and not plugin._session.alive
    assert plugin.ledger.faults == []
    sample(plugin, "honest")


@on_linux
def test_a_network_that_was_kept_from_an_earlier_run_is_told_as_such(remote: Remote) -> None:
    plugin = remote()
    sample(plugin, "late", seed=0)
    with pytest.raises(PluginError, match="after the end of its run"):
        sample(plugin, "late", seed=1)


class Scripted(Session):
    """A session whose worker has said its part beforehand."""

    def __init__(self, frames: list[tuple[dict[str, Any], bytes]]) -> None:
        self._script, self.nonce = frames, ""
        self._frames, self.alive, self.stderr = [], True, Ring()

    def _exchange(self, data: bytes, deadline: float, shown: str) -> Frame:
        header, payload = self._script.pop(0)
        if not self.nonce:
            self.nonce = json.loads(data[8 : 8 + int.from_bytes(data[:4], "little")])["nonce"]
        fields = {key: self.nonce if value == "NONCE" else value for key, value in header.items()}
        return Frame(fields, payload)

    def _take_events(self) -> None:
        """Nothing is heard."""

    def end(self) -> None:
        self.alive = False


REQUEST: dict[str, Any] = {"entry": "a:b", "steps": 5, "seed": 0, "scheduler_config": {}}
DONE = ({"nonce": "NONCE", "ok": True, "shape": [2]}, bytes(8))
QUESTION: dict[str, Any] = {"nonce": "NONCE", "turn": 1, "shape": [2], "timestep": 9.0}
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def run(frames: list[tuple[dict[str, Any], bytes]], network: Any) -> tuple[Scripted, Any]:
    session = Scripted(frames)
    try:
        return session, sampling.sample(session, 1.0, REQUEST, network, NOISE)
    except CandidateFault as fault:
        return session, fault


def test_a_run_in_order_passes() -> None:
    seen = Seen()
    session, output = run([(QUESTION, bytes(8)), ({**QUESTION, "turn": 2}, bytes(8)), DONE], seen)
    assert session.alive and output.shape == (2,) and len(seen.calls) == 2


@given(st.sampled_from(sorted(QUESTION)), values, st.booleans(), st.binary(max_size=20))
def test_a_question_with_anything_out_of_form_never_reaches_the_network(
    key: str, value: Any, dropped: bool, payload: bytes
) -> None:
    """One field is replaced, dropped, or the payload is another: what is answered has the form of a call."""
    header = {name: old for name, old in QUESTION.items() if name != key} if dropped else dict(QUESTION)
    if not dropped:
        header[key] = value
    seen = Seen()
    session, output = run([(header, payload), DONE], seen)
    if seen.calls:
        (latents, timestep) = seen.calls[0]
        assert latents.size * 4 == len(payload) and np.isfinite(timestep)
        assert header["turn"] == 1 and header["nonce"] == "NONCE"
    else:
        assert isinstance(output, MalformedReply) and not session.alive


@given(st.dictionaries(st.text(max_size=8), values, min_size=1, max_size=4))
def test_a_field_that_no_call_has_is_refused(more: dict[str, Any]) -> None:
    unknown = {key: value for key, value in more.items() if key not in (*QUESTION, "ok")}
    session, output = run([({**QUESTION, **unknown}, bytes(8)), DONE], Seen())
    assert isinstance(output, MalformedReply) == bool(unknown)
    assert session.alive == (not unknown)


@given(st.lists(st.integers(-2, 5000), max_size=8), st.integers(0, 64))
def test_latents_are_taken_where_shape_and_bytes_agree_and_nowhere_else(shape: list[int], size: int) -> None:
    fits = len(shape) <= 6 and all(0 <= side <= 4096 for side in shape)
    count = int(np.prod(shape, dtype=object)) if shape else 1
    session, output = run([({"nonce": "NONCE", "ok": True, "shape": shape}, bytes(size))], Seen())
    if fits and count <= sampling.MAX_LATENTS and 4 * count == size:
        assert output.shape == tuple(shape) and session.alive
    else:
        assert isinstance(output, MalformedReply) and not session.alive


def test_a_request_that_takes_no_questions_hears_none() -> None:
    session = Scripted([(QUESTION, bytes(8))])
    with pytest.raises(MalformedReply, match="an invalid answer"):
        session.ask("generate", 1.0)
    assert not session.alive
