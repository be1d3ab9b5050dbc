"""All layers of every file, against the run's policy and against each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from certify.candidate import Candidate
from certify.checks import NotEvidenced, requirement
from certify.evidence import EvidenceBox
from certify.host.ledger import Ledger
from certify.instruments.marks.credentials import replayed
from certify.instruments.marks.layers import LAYERS, contradictions
from certify.marked import layers_of, with_usual_word
from certify.policy import LoadedPolicy, judge, rows


@requirement("mark.policy")
def test_every_file_carries_what_the_policy_asks_for(
    candidate: Candidate,
    ledger: Ledger,
    policy: LoadedPolicy,
    evidence: EvidenceBox,
    claim: Callable[[str], None],
) -> None:
    generations = with_usual_word(ledger)
    found = layers_of(candidate, generations, policy.anchors)
    evidence.text(
        "Policy", f"{policy.label}\n{policy.policy.title}\n" + "\n".join(map(_row, rows(policy.policy)))
    )
    evidence.text("Layers", "\n".join(_states(found)))
    judged = [judge(policy.policy, layers) for layers in found]
    wrong = [(generation, one) for generation, one in zip(generations, judged, strict=True) if one.wrong]
    assert not wrong, (
        f"{len(wrong)} of {len(found)} files are not as {policy.policy.name} asks for; the first (while "
        f"measuring {wrong[0][0].requirement}): {'; '.join(wrong[0][1].wrong)}."
    )
    if unknown := [one.open for one in judged if one.open]:
        raise NotEvidenced(f"{len(unknown)} of {len(found)} files could not be judged: {unknown[0][0]}.")
    claim(f"policy {policy.policy.name} {policy.policy.version}: check passed on {len(found)} files")


def _row(row: tuple[str, str, str, str]) -> str:
    layer, demand, source, read = row
    return f"{layer:<12} {demand:<14} {source} (read {read})"


def _states(found: list[dict]) -> list[str]:  # type: ignore[type-arg]
    """For each layer, how many files are in which state."""
    counts = {name: Counter(layers[name].state for layers in found if name in layers) for name in LAYERS}
    return [
        f"{name:<12} " + ", ".join(f"{number} {state}" for state, number in count.most_common())
        for name, count in counts.items()
    ]


@requirement("mark.layers-agree")
def test_no_layer_of_a_file_denies_another(
    candidate: Candidate, ledger: Ledger, policy: LoadedPolicy, evidence: EvidenceBox
) -> None:
    generations = with_usual_word(ledger)
    found = layers_of(candidate, generations, policy.anchors)
    told = [
        f"{sentence} (while measuring {generation.requirement})"
        for generation, layers in zip(generations, found, strict=True)
        for sentence in contradictions(layers)
    ]
    if told:
        evidence.text("Contradictions", "\n".join(told[:20]))
    assert not told, f"{len(told)} contradictions between layers of one file; the first: {told[0]}."
    signed = [layers["credentials"] for layers in found]
    twice = replayed(signed)
    assert not twice, f"{len(twice)} C2PA manifests are on more than one image; the first: {twice[0]}."
    broken = [layer for layer in signed if layer.state == "malformed"]
    assert not broken, f"{len(broken)} files have broken content credentials; the first: {broken[0].reason}."
    unread = [layer for layer in signed if layer.state == "not-checkable-here" and not layer.facts]
    if unread:
        raise NotEvidenced(
            f"{len(unread)} files have content credentials that cannot be read: {unread[0].reason}."
        )
