"""All layers of every file, checked against the run's policy and against each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from certify.candidate.candidate import Candidate
from certify.instruments.marks.files.credentials import replayed
from certify.instruments.marks.layers import LAYERS, contradictions
from certify.measure.checks import NotEvidenced, requirement
from certify.measure.marks.run_images import layers_of, with_usual_word
from certify.plan.policy import LoadedPolicy, judge, rows
from certify.record.evidence import EvidenceBox
from certify.sandbox.host.ledger import Ledger


@requirement("mark.policy")
def test_every_file_carries_the_marks_of_the_policy(
    candidate: Candidate,
    ledger: Ledger,
    policy: LoadedPolicy,
    evidence: EvidenceBox,
    claim: Callable[[str], None],
) -> None:
    generations = with_usual_word(ledger)
    files = layers_of(candidate, generations, policy.anchors)
    evidence.text(
        "Policy", f"{policy.label}\n{policy.policy.title}\n" + "\n".join(map(_row, rows(policy.policy)))
    )
    evidence.text("Layers", "\n".join(_states(files)))
    judged = [judge(policy.policy, layers) for layers in files]
    wrong = [
        (generation, judgement)
        for generation, judgement in zip(generations, judged, strict=True)
        if judgement.wrong
    ]
    assert not wrong, (
        f"{len(wrong)} of {len(files)} files break the policy {policy.policy.name}; the first (while "
        f"measuring {wrong[0][0].requirement}): {'; '.join(wrong[0][1].wrong)}."
    )
    if unknown := [judgement.open for judgement in judged if judgement.open]:
        raise NotEvidenced(f"{len(unknown)} of {len(files)} files could not be checked: {unknown[0][0]}.")
    claim(f"policy {policy.policy.name} {policy.policy.version}: check passed on {len(files)} files")


def _row(row: tuple[str, str, str, str]) -> str:
    layer, demand, source, read = row
    return f"{layer:<12} {demand:<14} {source} (read {read})"


def _states(files: list[dict]) -> list[str]:  # type: ignore[type-arg]
    """For each layer, the number of files in each state."""
    counts = {name: Counter(layers[name].state for layers in files if name in layers) for name in LAYERS}
    return [
        f"{name:<12} " + ", ".join(f"{number} {state}" for state, number in count.most_common())
        for name, count in counts.items()
    ]


@requirement("mark.layers-agree")
def test_no_layer_of_a_file_contradicts_another(
    candidate: Candidate, ledger: Ledger, policy: LoadedPolicy, evidence: EvidenceBox
) -> None:
    generations = with_usual_word(ledger)
    files = layers_of(candidate, generations, policy.anchors)
    conflicts = [
        f"{sentence} (while measuring {generation.requirement})"
        for generation, layers in zip(generations, files, strict=True)
        for sentence in contradictions(layers)
    ]
    if conflicts:
        evidence.text("Contradictions", "\n".join(conflicts[:20]))
    assert not conflicts, (
        f"{len(conflicts)} contradictions between layers of the same file; the first: {conflicts[0]}."
    )
    signed = [layers["credentials"] for layers in files]
    twice = replayed(signed)
    assert not twice, f"{len(twice)} C2PA manifests appear on several images; the first: {twice[0]}."
    broken = [layer for layer in signed if layer.state == "malformed"]
    assert not broken, f"{len(broken)} files have broken content credentials; the first: {broken[0].reason}."
    unread = [layer for layer in signed if layer.state == "not-checkable-here" and not layer.facts]
    if unread:
        raise NotEvidenced(
            f"{len(unread)} files have content credentials that cannot be read: {unread[0].reason}."
        )
