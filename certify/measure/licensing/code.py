"""The licences of the code and the weights: valid, complete, consistent, and suitable for sale."""

from __future__ import annotations

from certify.candidate.candidate import Candidate
from certify.instruments.findings import CERTAIN, NOTED, SUSPICIOUS, Finding
from certify.instruments.licences import identifiers as licences
from certify.instruments.licences.identifiers import RAIL_IDS, identifiers, is_non_commercial
from certify.instruments.licences.model_card import OPENRAIL
from certify.instruments.licences.model_terms import IDENTIFIERS
from certify.instruments.licences.permissions import permission
from certify.instruments.licences.scan import SURE, FileLicence, cards, scan
from certify.instruments.licences.texts import family, identified, matches_text
from certify.measure.licensing.package_texts import check_text, judge_match, paths, read


def expressions(candidate: Candidate) -> list[Finding]:
    """Valid SPDX expressions for the code and each of the weights."""
    manifest, file = candidate.manifest, candidate.manifest_file
    declared = {"the code": manifest.licence.expression}
    declared |= {f"weights {model.name}": model.licence for model in manifest.models}
    findings = [
        Finding(file, 0, "no-expression", f'{what}: "{expression[:80]}": {problem}')
        for what, expression in declared.items()
        for problem in licences.check_expression(expression)
    ]
    rails = {name.lower() for name in RAIL_IDS}
    if any(name.lower() in rails for name in identifiers(manifest.licence.expression)):
        message = "a RAIL is a licence for models; name the code's own here and the model's under model_terms"
        findings.append(Finding(file, 0, "model-licence-for-code", message, SUSPICIOUS))
    return findings


def files(candidate: Candidate) -> list[Finding]:
    """Compares the licence texts of the code and the weights with the declared licences."""
    manifest = candidate.manifest
    findings = _code_files(candidate)
    for model in manifest.models:
        if model.licence_file:
            findings += check_text(model.licence_file, model.licence, read(candidate, model.licence_file))
    return findings


def model_card(candidate: Candidate) -> list[Finding]:
    """Compares model cards (README.md with front matter) with the licences in the manifest."""
    manifest = candidate.manifest
    findings = []
    for file, card in cards(candidate.root, paths(candidate)).items():
        if card.problem:
            findings.append(Finding(file, 1, "unreadable", card.problem, SUSPICIOUS))
        if not card.licence:
            continue
        stated = {family(name).lower() for name in identifiers(card.licence)}
        declared = [
            manifest.licence.expression,
            *(row.licence for row in (*manifest.models, *manifest.loras)),
        ]
        declared += [IDENTIFIERS[model_type] for model_type in manifest.plugin.model_types]
        known = {family(name).lower() for expression in declared for name in identifiers(expression)}
        if stated and stated <= known:
            continue
        message = f"its front matter says license: {card.named}, which the manifest names nowhere"
        # "openrail" on the Hub means the whole family, not a specific licence.
        unclear = bool(licences.check_expression(card.licence)) or card.licence == OPENRAIL
        findings.append(
            Finding(file, 1, "card-against-manifest", message, SUSPICIOUS if unclear else CERTAIN)
        )
    return findings


def undeclared(candidate: Candidate) -> list[Finding]:
    """Licence texts and SPDX tags in the tree that no declared licence covers."""
    declared = _declared_families(candidate)
    return [
        Finding(
            row.file, 0, "undeclared-licence", f"{_of(row)}, which the manifest names nowhere", SUSPICIOUS
        )
        for row in scan(candidate.root, paths(candidate))
        if not any(licences.is_covered(name, declared) for name in row.licences)
    ]


def non_commercial(candidate: Candidate) -> list[Finding]:
    """What in the package forbids commercial use: a declaration, a licence text, a tag, or a model card."""
    manifest = candidate.manifest
    declared = {"the code": manifest.licence.expression}
    declared |= {f"weights {model.name}": model.licence for model in manifest.models}
    findings = [
        Finding(
            candidate.manifest_file,
            0,
            "non-commercial",
            f"{what} is under {name}, which forbids commercial use",
        )
        for what, name in declared.items()
        if is_non_commercial(name)
    ]
    # `loras` checks the manifest's licences of LoRAs; this checks files.
    for row in scan(candidate.root, paths(candidate)):
        if all(is_non_commercial(name) for name in row.licences):
            message = f"{_of(row)}, which forbids commercial use"
            findings.append(
                Finding(row.file, 0, "non-commercial", message, CERTAIN if row.score >= SURE else SUSPICIOUS)
            )
    for file, card in cards(candidate.root, paths(candidate)).items():
        if card.licence and is_non_commercial(card.licence):
            message = f"its front matter says license: {card.named}, which forbids commercial use"
            findings.append(Finding(file, 1, "non-commercial", message))
    return findings


def agreement(candidate: Candidate) -> list[Finding]:
    """Above the tier there must be a readable agreement or a licence key."""
    commercial, file = candidate.manifest.commercial, candidate.manifest_file
    if not commercial.agreement:
        if commercial.licence_key:
            message = "a licence key was given; only its issuer can say whether it is good"
            return [Finding(file, 0, "key-not-checked", message, NOTED)]
        message = "the manifest says above-50k, but names no agreement and no licence_key under [commercial]"
        return [Finding(file, 0, "no-agreement", message)]
    place = candidate.file(commercial.agreement)
    if not place.is_file() or place.stat().st_size == 0:
        return [Finding(commercial.agreement, 0, "no-agreement", "the agreement is missing or empty")]
    if place.suffix.lower() not in ("", ".txt", ".md", ".rst"):
        message = "the agreement is no plain text; a person must read it"
        return [Finding(commercial.agreement, 0, "not-read", message, NOTED)]
    text = read(candidate, commercial.agreement)
    if text.problems:
        return [Finding(commercial.agreement, 0, "no-agreement", "; ".join(text.problems))]
    free = [(name, score) for name, score in identified(text.text) if score >= SURE]
    if free:
        message = f"this is the text of {free[0][0]}, no agreement on commercial use above the tier"
        return [Finding(commercial.agreement, 0, "no-agreement", message)]
    return []


def sharing(candidate: Candidate) -> list[Finding]:
    """What a buyer or the store must pass on for the code: a note, not a judgement."""
    allowed = permission(candidate.manifest.licence.expression)
    if allowed.sharing in ("whole", "network"):
        message = f"the code is under {candidate.manifest.licence.expression}: {allowed}"
        return [Finding(candidate.manifest_file, 0, "copyleft", message, NOTED)]
    return []


def _code_files(candidate: Candidate) -> list[Finding]:
    """Every file under [licence] must be readable, and one of them must contain each declared licence."""
    licence = candidate.manifest.licence
    texts = {file: read(candidate, file) for file in licence.files}
    findings = [
        Finding(file, 0, "unreadable", "; ".join(text.problems))
        for file, text in texts.items()
        if text.problems
    ]
    if findings:
        return findings
    for identifier in identifiers(licence.expression):
        matches = {file: matches_text(identifier, text.text) for file, text in texts.items()}
        order = ("matches", "near", "differs", "not-checkable")
        file = min(matches, key=lambda name: (order.index(matches[name].state), -matches[name].score))
        judged = judge_match(file, identifier, matches[file])
        if any(row.rule == "other-text" for row in judged):
            held = identified(texts[file].text)
            message = f"it holds the text of {held[0][0]}, not" if held else "it does not hold the text"
            others = ", and none of the others under [licence] files does" if licence.files[1:] else ""
            message = f"{message} of {identifier}, which the manifest declares{others}"
            judged = [Finding(file, 0, "other-text", message)]
        findings += judged
    return findings


def _declared_families(candidate: Candidate) -> set[str]:
    manifest = candidate.manifest
    declared = [manifest.licence.expression, *(row.licence for row in (*manifest.models, *manifest.loras))]
    declared += [IDENTIFIERS[model_type] for model_type in manifest.plugin.model_types]
    return {name for expression in declared for name in _families(expression)}


def _families(expression: str) -> set[str]:
    return {family(name).lower() for name in identifiers(expression)}


def _of(row: FileLicence) -> str:
    if row.how == "tag":
        return f"it is tagged {row.licences[0]}"
    sure = "the text of" if row.score >= SURE else f"{row.score:.0%} the text of"
    return f"it is {sure} {row.licences[0]}"
