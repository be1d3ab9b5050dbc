"""The entry, the signature, the ranges, the error codes and the seed."""

from __future__ import annotations

import re
from collections.abc import Mapping

from certify.measure.checks import Broken, NotEvidenced, requirement
from certify.measure.randomness import Draws
from certify.record.evidence import EvidenceBox
from certify.sandbox.host.faults import (
    CandidateFault,
    LoadFailed,
    MalformedReply,
    PluginError,
    TimedOut,
    WorkerEnded,
)
from certify.sandbox.host.ledger import Ledger
from certify.sandbox.host.plugin import RemotePlugin

DEFAULTS = (("negative_prompt", ""), ("steps", 28), ("cfg_scale", 7.5))
# What each remedy of B7 must speak of.
REMEDIES = ("til", "3 ?gi?b", "medvram")


@requirement("sdk.entry-loads")
def test_the_entry_gives_a_plugin(plugin: RemotePlugin, evidence: EvidenceBox) -> None:
    try:
        signature = plugin.load()
    except CandidateFault as fault:
        evidence.text("The worker's last lines", fault.log)
        raise Broken(f"The plugin did not load: {fault.message}") from None
    assert signature.callable, "The factory's object has no method generate_image."
    assert signature.asynchronous, "generate_image is not declared with `async def`."


@requirement("sdk.generate-signature")
def test_generate_image_is_declared_as_the_sdk_says(plugin: RemotePlugin, evidence: EvidenceBox) -> None:
    parameters = plugin.load().parameters
    shown = ", ".join(f"{row.name}={row.default!r}" if row.has_default else row.name for row in parameters)
    evidence.value("declared", f"generate_image({shown})")
    positional = [row for row in parameters if row.kind in ("positional_only", "positional_or_keyword")]
    names = tuple(row.name for row in positional[:4])
    wanted = ("prompt", *(name for name, _ in DEFAULTS))
    assert names == wanted, f"The first parameters are {', '.join(names)}, not {', '.join(wanted)}."
    assert not positional[0].has_default, "prompt has a default; it must be given."
    for row, (name, default) in zip(positional[1:4], DEFAULTS, strict=True):
        assert row.default == default, f"The default of {name} is {row.default!r}, not {default!r}."


@requirement("sdk.steps-range")
def test_steps_from_5_to_50_are_served_and_others_refused(plugin: RemotePlugin, draws: Draws) -> None:
    for steps in (5, 50):
        plugin.generate(**draws.request(steps=steps))
    for steps in (4, 51):
        with Refusal() as refused:
            plugin.generate(**draws.request(steps=steps))
        assert refused.error is not None, f"{steps} steps were served."
        _assert_code(refused.error, "ERR_")


@requirement("sdk.sensitive-words")
def test_a_sensitive_word_is_refused(plugin: RemotePlugin, draws: Draws) -> None:
    word = draws.word()
    prompt = f"{draws.prompt()}, {word}"
    with plugin.opened_with(sensitive_words=[word]) as generate, Refusal() as refused:
        generate(**draws.request(prompt=prompt))
    assert refused.error is not None, f'A prompt with the sensitive word "{word}" was served.'
    _assert_code(refused.error, "ERR_INVALID_PROMPT")


@requirement("sdk.model-not-loaded")
def test_a_missing_model_is_told_by_its_code(plugin: RemotePlugin, draws: Draws) -> None:
    missing = {"path": f"/nowhere/{draws.word()}"}
    with Refusal() as refused, plugin.opened_with(model=missing) as generate:
        generate(**draws.request())
    assert refused.error is not None, "An image came back though the model of the configuration is missing."
    _assert_code(refused.error, "ERR_MODEL_NOT_LOADED")


@requirement("sdk.out-of-memory")
def test_too_little_memory_is_told_with_the_remedies_in_order(
    plugin: RemotePlugin, draws: Draws, evidence: EvidenceBox
) -> None:
    with Refusal() as refused, plugin.opened_with(memory_limit="16MB") as generate:
        generate(**draws.request())
    error = refused.error
    assert error is not None, "An image came back though 16 MB cannot hold the model."
    _assert_code(error, "ERR_OUT_OF_MEMORY")
    remedies = error.remedies if isinstance(error, PluginError) else ()
    evidence.text("Remedies offered", "\n".join(remedies) or "none")
    assert _names_in_order(remedies), (
        "The remedies are not tiled loading, memory_limit 3GB, medvram, in this order."
    )


@requirement("sdk.same-seed")
def test_the_same_seed_gives_the_same_image(
    plugin: RemotePlugin, draws: Draws, evidence: EvidenceBox
) -> None:
    request, other = draws.request(), draws.request()
    first = plugin.generate(**request)
    plugin.generate(**other)
    again = plugin.generate(**request)
    if not first.same_pixels(again):
        evidence.picture("first", first.pixels)
        evidence.picture("again", again.pixels)
        raise Broken(f"Seed {request['seed']} gave two different images for the same request.")


@requirement("sdk.other-seed")
def test_another_seed_gives_another_image(plugin: RemotePlugin, draws: Draws, evidence: EvidenceBox) -> None:
    request = draws.request()
    seeds = (request["seed"], (request["seed"] + 1) % 2**32)
    first, second = (plugin.generate(**{**request, "seed": seed}) for seed in seeds)
    evidence.picture(f"seed {seeds[0]}", first.pixels)
    evidence.picture(f"seed {seeds[1]}", second.pixels)
    assert not first.same_pixels(second), f"Seeds {seeds[0]} and {seeds[1]} gave the same image."


@requirement("sdk.sizes")
def test_other_sizes_are_served_as_asked_for(plugin: RemotePlugin, draws: Draws) -> None:
    for width, height in ((64, 8 * draws.random.randint(9, 16)), (8 * draws.random.randint(9, 16), 64)):
        generation = plugin.generate(**draws.request(width=width, height=height))
        got = generation.pixels.shape[1], generation.pixels.shape[0]
        assert got == (width, height), f"Asked for {width} x {height} pixels, got {got[0]} x {got[1]}."


@requirement("sdk.stays-alive")
def test_no_request_ended_the_process(ledger: Ledger, evidence: EvidenceBox) -> None:
    _judge_faults(ledger, evidence, WorkerEnded, "The process ended in a request")


@requirement("sdk.answers-in-time")
def test_every_request_was_answered_in_time(ledger: Ledger, evidence: EvidenceBox) -> None:
    _judge_faults(ledger, evidence, TimedOut, "A request had no answer in time")


@requirement("sdk.answers-wellformed")
def test_every_answer_was_a_picture_of_the_size_asked_for(ledger: Ledger, evidence: EvidenceBox) -> None:
    _judge_faults(ledger, evidence, MalformedReply, "An answer was not what was asked for")
    for generation in ledger.generations:
        asked: Mapping[str, object] = generation.request
        got = generation.pixels.shape[1], generation.pixels.shape[0]
        wanted = asked.get("width", got[0]), asked.get("height", got[1])
        assert got == wanted, (
            f"Asked for {wanted[0]} x {wanted[1]} pixels, an image of {got[0]} x {got[1]} came."
        )


class Refusal:
    """Catches what the plugin raises, at creation or in a call; `error` is None where it raised nothing."""

    error: PluginError | LoadFailed | None = None

    def __enter__(self) -> Refusal:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, (PluginError, LoadFailed)):
            self.error = error
            return True
        return False


def _assert_code(error: PluginError | LoadFailed, code: str) -> None:
    told = error.code or "no code"
    asked = code if code != "ERR_" else "one of the SDK"
    fits = error.code.startswith(code) if code == "ERR_" else error.code == code
    assert fits, f"The error carries {told}, not {asked}: {error.message[:300]}"


def _names_in_order(remedies: tuple[str, ...]) -> bool:
    return len(remedies) >= 3 and all(
        re.search(pattern, remedy, re.IGNORECASE) for pattern, remedy in zip(REMEDIES, remedies, strict=False)
    )


def _judge_faults(ledger: Ledger, evidence: EvidenceBox, kind: type[CandidateFault], sentence: str) -> None:
    evidence.value("requests in this run", ledger.calls)
    if not ledger.calls:
        raise NotEvidenced("The plugin was asked for nothing in this run.")
    faults = ledger.faults_of(kind)
    if faults:
        identifier, fault = faults[0]
        evidence.text("Request in flight", fault.request)
        evidence.text("The worker's last lines", fault.log)
        raise Broken(f"{sentence} ({len(faults)} times, first while measuring {identifier}): {fault.message}")
