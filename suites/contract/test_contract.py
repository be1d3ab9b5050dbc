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
# A pattern for each remedy of B7, in the required order.
REMEDIES = ("til", "3 ?gi?b", "medvram")


@requirement("sdk.entry-loads")
def test_the_entry_gives_a_plugin(plugin: RemotePlugin, evidence: EvidenceBox) -> None:
    try:
        signature = plugin.load()
    except CandidateFault as fault:
        evidence.text("The worker's last lines", fault.log)
        raise Broken(f"The plugin did not load: {fault.message}") from None
    assert signature.callable, "The object that the factory returns has no method generate_image."
    assert signature.asynchronous, "generate_image is not declared with `async def`."


@requirement("sdk.generate-signature")
def test_generate_image_has_the_declared_signature(plugin: RemotePlugin, evidence: EvidenceBox) -> None:
    parameters = plugin.load().parameters
    declared = ", ".join(f"{row.name}={row.default!r}" if row.has_default else row.name for row in parameters)
    evidence.value("declared", f"generate_image({declared})")
    positional = [row for row in parameters if row.kind in ("positional_only", "positional_or_keyword")]
    names = tuple(row.name for row in positional[:4])
    expected = ("prompt", *(name for name, _ in DEFAULTS))
    assert names == expected, f"The first parameters are {', '.join(names)}, not {', '.join(expected)}."
    assert not positional[0].has_default, "prompt has a default value, but it must be a required parameter."
    for row, (name, default) in zip(positional[1:4], DEFAULTS, strict=True):
        assert row.default == default, f"The default of {name} is {row.default!r}, not {default!r}."


@requirement("sdk.steps-range")
def test_steps_from_5_to_50_are_accepted_and_others_refused(plugin: RemotePlugin, draws: Draws) -> None:
    for steps in (5, 50):
        plugin.generate(**draws.request(steps=steps))
    for steps in (4, 51):
        with Refusal() as refused:
            plugin.generate(**draws.request(steps=steps))
        assert refused.error is not None, (
            f"A request with {steps} steps was accepted; only 5 to 50 are allowed."
        )
        _assert_code(refused.error, "ERR_")


@requirement("sdk.sensitive-words")
def test_a_sensitive_word_is_refused(plugin: RemotePlugin, draws: Draws) -> None:
    word = draws.word()
    prompt = f"{draws.prompt()}, {word}"
    with plugin.opened_with(sensitive_words=[word]) as generate, Refusal() as refused:
        generate(**draws.request(prompt=prompt))
    assert refused.error is not None, f'A prompt with the sensitive word "{word}" was accepted.'
    _assert_code(refused.error, "ERR_INVALID_PROMPT")


@requirement("sdk.model-not-loaded")
def test_a_missing_model_is_reported_by_its_code(plugin: RemotePlugin, draws: Draws) -> None:
    missing = {"path": f"/nowhere/{draws.word()}"}
    with Refusal() as refused, plugin.opened_with(model=missing) as generate:
        generate(**draws.request())
    assert refused.error is not None, (
        "The plugin returned an image although the model in its configuration is missing."
    )
    _assert_code(refused.error, "ERR_MODEL_NOT_LOADED")


@requirement("sdk.out-of-memory")
def test_out_of_memory_lists_the_remedies_in_order(
    plugin: RemotePlugin, draws: Draws, evidence: EvidenceBox
) -> None:
    with Refusal() as refused, plugin.opened_with(memory_limit="16MB") as generate:
        generate(**draws.request())
    error = refused.error
    assert error is not None, "The plugin returned an image although 16 MB cannot hold the model."
    _assert_code(error, "ERR_OUT_OF_MEMORY")
    remedies = error.remedies if isinstance(error, PluginError) else ()
    evidence.text("Remedies in the error", "\n".join(remedies) or "none")
    assert _names_in_order(remedies), (
        "The error must list three remedies in this order: tiled loading, memory_limit 3GB, medvram."
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
def test_images_have_the_requested_size(plugin: RemotePlugin, draws: Draws) -> None:
    for width, height in ((64, 8 * draws.random.randint(9, 16)), (8 * draws.random.randint(9, 16), 64)):
        generation = plugin.generate(**draws.request(width=width, height=height))
        size = generation.pixels.shape[1], generation.pixels.shape[0]
        assert size == (width, height), (
            f"Requested {width} x {height} pixels, received {size[0]} x {size[1]}."
        )


@requirement("sdk.stays-alive")
def test_no_request_ended_the_process(ledger: Ledger, evidence: EvidenceBox) -> None:
    _judge_faults(ledger, evidence, WorkerEnded, "The process ended during a request")


@requirement("sdk.answers-in-time")
def test_every_request_was_answered_in_time(ledger: Ledger, evidence: EvidenceBox) -> None:
    _judge_faults(ledger, evidence, TimedOut, "A request timed out")


@requirement("sdk.answers-wellformed")
def test_every_answer_was_an_image_of_the_requested_size(ledger: Ledger, evidence: EvidenceBox) -> None:
    _judge_faults(ledger, evidence, MalformedReply, "An answer was malformed")
    for generation in ledger.generations:
        request: Mapping[str, object] = generation.request
        size = generation.pixels.shape[1], generation.pixels.shape[0]
        expected = request.get("width", size[0]), request.get("height", size[1])
        assert size == expected, (
            f"Requested {expected[0]} x {expected[1]} pixels, received {size[0]} x {size[1]}."
        )


class Refusal:
    """Catches an exception of the plugin, at creation or in a call; `error` is None where there was none."""

    error: PluginError | LoadFailed | None = None

    def __enter__(self) -> Refusal:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, (PluginError, LoadFailed)):
            self.error = error
            return True
        return False


def _assert_code(error: PluginError | LoadFailed, code: str) -> None:
    expected = code if code != "ERR_" else "a code of the SDK"
    fits = error.code.startswith(code) if code == "ERR_" else error.code == code
    assert fits, f"The error has {error.code or 'no code'} instead of {expected}: {error.message[:300]}"


def _names_in_order(remedies: tuple[str, ...]) -> bool:
    return len(remedies) >= 3 and all(
        re.search(pattern, remedy, re.IGNORECASE) for pattern, remedy in zip(REMEDIES, remedies, strict=False)
    )


def _judge_faults(ledger: Ledger, evidence: EvidenceBox, kind: type[CandidateFault], sentence: str) -> None:
    evidence.value("requests in this run", ledger.calls)
    if not ledger.calls:
        raise NotEvidenced("The plugin received no request in this run.")
    faults = ledger.faults_of(kind)
    if faults:
        identifier, fault = faults[0]
        evidence.text("Request in flight", fault.request)
        evidence.text("The worker's last lines", fault.log)
        raise Broken(f"{sentence} ({len(faults)} times, first while measuring {identifier}): {fault.message}")
