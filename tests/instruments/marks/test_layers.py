"""The layers in a file's metadata: each rule by an example that keeps it and ones that break it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.instruments.marks.files.california import read_disclosure
from certify.instruments.marks.files.credentials import judge_credentials, replayed
from certify.instruments.marks.files.gb45438 import read_aigc
from certify.instruments.marks.files.tool_traces import read_tool
from certify.instruments.marks.files.xmp import XMP_KEY, xmp_source_type
from certify.instruments.marks.layers import Layer, contradictions
from reference_engine.marking import Provider, xmp_packet

PROVIDER = Provider("Me & Co", "Ink", "1.0", "001191110102MAD55U9H0F10002")
WHOLE = {XMP_KEY: xmp_packet(PROVIDER, "abc123", "2026-11-24T10:00:00+00:00")}
LABEL = {
    "Label": "1",
    "ContentProducer": "001191110102MAD55U9H0F10002",
    "ProduceID": "abc123",
    "ReservedCode1": "",
    "ContentPropagator": "",
    "PropagateID": "",
    "ReservedCode2": "",
}
FRAME = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
    'xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/">'
    "<rdf:Description %s>%s</rdf:Description></rdf:RDF></x:xmpmeta>"
)


def in_xmp(text):
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return {XMP_KEY: FRAME % ("", f"<TC260:AIGC>{escaped}</TC260:AIGC>")}


def label(**changes):
    return in_xmp(json.dumps({**LABEL, **changes}, ensure_ascii=False))


def test_the_sdk_s_own_packet_has_every_layer():
    found = [read(WHOLE) for read in (xmp_source_type, read_aigc, read_disclosure)]
    assert [layer.state for layer in found] == ["present"] * 3
    assert not any(layer.warnings for layer in found)
    assert found[2].facts["provider"] == "Me & Co"


def test_the_sdk_s_packet_without_a_provider_says_only_what_it_knows():
    bare = {XMP_KEY: xmp_packet()}
    assert [read(bare).state for read in (xmp_source_type, read_aigc, read_disclosure)] == [
        "present",
        "absent",
        "absent",
    ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"Label": 1}, "Label is int"),
        ({"Label": "AIGC"}, 'Label is "AIGC"'),
        ({"ContentProducer": ""}, "ContentProducer is empty"),
        ({"ProduceID": "  "}, "ProduceID is empty"),
        ({"PropagateID": None}, "PropagateID is NoneType"),
        ({"label": "1"}, "there is no field label"),
    ],
)
def test_a_label_that_breaks_a_field_s_rule_is_malformed(changes, told):
    layer = read_aigc(label(**changes))
    assert (layer.state, told in layer.reason) == ("malformed", True), layer.reason
    assert layer.fix


@pytest.mark.parametrize("missing", ["Label", "ContentProducer", "ProduceID"])
def test_a_label_without_a_needed_field_is_malformed(missing):
    table = {key: value for key, value in LABEL.items() if key != missing}
    assert f"{missing} is missing" in read_aigc(in_xmp(json.dumps(table))).reason


@pytest.mark.parametrize("weaker", ["2", "3"])
def test_a_generator_that_is_not_sure_contradicts_itself(weaker):
    assert read_aigc(label(Label=weaker)).state == "contradictory"


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ({"AIGC": json.dumps(LABEL)}, "belongs in XMP"),
        (in_xmp(json.dumps(LABEL).replace('"', "&quot;")), "escaped twice"),
        (in_xmp(json.dumps({"AIGC": LABEL})), "nested"),
        (
            {XMP_KEY: FRAME % (" ".join(f'TC260:{key}="{value}"' for key, value in LABEL.items()), "")},
            "separate XMP properties",
        ),
    ],
    ids=["PNG text", "escaped twice", "nested", "attributes"],
)
def test_what_services_write_elsewhere_is_read_and_warned_about(texts, told):
    layer = read_aigc(texts)
    assert layer.state == "present"
    assert told in layer.warnings[0]


@pytest.mark.parametrize("text", ["", "1", "[1]", "{", "null"])
def test_a_label_that_is_no_object_is_malformed_or_absent(text):
    assert read_aigc(in_xmp(text)).state == ("malformed" if text else "absent")


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([XMP_KEY, "AIGC", "prompt", "workflow", "parameters"]), st.text()))
def test_any_text_is_judged_without_an_exception(texts):
    for read in (read_aigc, read_disclosure, read_tool, xmp_source_type):
        assert read(texts).state in ("present", "absent", "malformed", "contradictory")


def test_a_disclosure_that_lacks_a_field_says_which():
    packet = xmp_packet(Provider("Me", "Ink", "1.0"), "abc123", "")
    layer = read_disclosure({XMP_KEY: packet})
    assert (layer.state, layer.reason) == ("malformed", "it lacks: time")
    wrong = xmp_packet(Provider("Me", "Ink", "1.0"), "abc123", "yesterday")
    assert "not ISO 8601" in read_disclosure({XMP_KEY: wrong}).reason


def test_tools_are_known_by_what_they_leave():
    assert "AUTOMATIC1111" in read_tool({"parameters": "a cat\nSteps: 20, Sampler: Euler"}).value
    assert "ComfyUI" in read_tool({"prompt": '{"3": {"class_type": "KSampler"}}'}).value
    assert read_tool({"prompt": "a cat"}).state == "absent"


AI = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
CAMERA = AI.replace("trainedAlgorithmicMedia", "digitalCapture")


def report(state="Trusted", failures=(), source=AI, **more):
    return {
        "found": True,
        "state": state,
        "failures": list(failures),
        "label": "urn:c2pa:1",
        "issuer": "Me",
    } | {
        "actions": [{"action": "c2pa.created", "source_type": source}],
        **more,
    }


@pytest.mark.parametrize(
    ("told", "anchored", "state"),
    [
        (report(), True, "present"),
        (report("Valid", ["signingCredential.untrusted"]), True, "malformed"),
        (report("Valid", ["signingCredential.untrusted"]), False, "not-checkable-here"),
        (report("Invalid", ["assertion.dataHash.mismatch"]), True, "malformed"),
        (report("Invalid", ["claimSignature.mismatch", "signingCredential.untrusted"]), True, "malformed"),
        (report(source=CAMERA), True, "contradictory"),
        (report(source=""), True, "malformed"),
        ({"found": True, "broken": "bad box"}, True, "malformed"),
        ({"found": False}, True, "absent"),
    ],
)
def test_a_manifest_counts_when_it_is_whole_trusted_and_says_ai(told, anchored, state):
    layer = judge_credentials(told, anchored)
    assert layer.state == state
    assert state == "present" or layer.reason


def test_one_manifest_on_two_images_is_a_replay():
    one, other = judge_credentials(report(), True), judge_credentials(report(label="urn:c2pa:2"), True)
    assert replayed([one, other]) == []
    assert replayed([one, other, one]) == ["urn:c2pa:1"]
    assert replayed([judge_credentials({"found": False}, True)] * 2) == []


def test_layers_that_deny_each_other_are_told():
    layers = {
        "invisible": Layer("invisible", "present", "the SDK's own word"),
        "iptc": Layer("iptc", "contradictory", reason="digitalCapture does not say so"),
    }
    assert contradictions(layers) == ["iptc contradicts invisible: digitalCapture does not say so"]
    numbers = {
        "aigc": Layer("aigc", "present", facts={"ProduceID": "1"}),
        "disclosure": Layer("disclosure", "present", facts={"identifier": "2"}),
    }
    assert contradictions(numbers) == ["the content has two identifiers: 1, 2"]
