"""The digital source type in XMP, as a property, as text, as a resource, and as people get it wrong."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.instruments.marks.files.xmp import XMP_KEY, xmp_source_type

BASE = "cv.iptc.org/newscodes/digitalsourcetype/"
AI = f"http://{BASE}trainedAlgorithmicMedia"
FRAME = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
    'xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
    "<rdf:Description %s>%s</rdf:Description></rdf:RDF></x:xmpmeta>"
)


def judged(packet):
    return xmp_source_type({XMP_KEY: packet})


def as_attribute(value):
    return FRAME % (f'e:DigitalSourceType="{value}"', "")


def as_text(value):
    return FRAME % ("", f"<e:DigitalSourceType>{value}</e:DigitalSourceType>")


def as_resource(value):
    return FRAME % ("", f'<e:DigitalSourceType rdf:resource="{value}"/>')


@pytest.mark.parametrize("form", [as_attribute, as_text, as_resource])
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("term", ["trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"])
def test_ai_generated_media_is_present_in_every_legal_form(form, scheme, term):
    value = f"{scheme}://{BASE}{term}"
    reading = judged(f'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>{form(value)}<?xpacket end="w"?>')
    assert (reading.state, reading.value) == ("present", value)


@pytest.mark.parametrize("term", ["digitalCapture", "humanEdits", "algorithmicMedia"])
def test_a_term_of_other_media_contradicts(term):
    assert judged(as_text(f"http://{BASE}{term}")).state == "contradictory"


def test_two_terms_contradict_and_one_term_twice_does_not():
    both = FRAME % (f'e:DigitalSourceType="{AI}"', f"<e:DigitalSourceType>{AI}%s</e:DigitalSourceType>")
    assert judged(both % "").state == "present"
    assert judged(both % "x").state == "contradictory"


@pytest.mark.parametrize(
    "value",
    [
        "TrainedAlgorithmicMedia",
        "trainedAlgorithmicMedia",
        f"http://{BASE}trainedalgorithmicmedia",
        f"{AI}/",
        "",
        f"ftp://{BASE}x",
    ],
)
def test_a_value_that_is_no_term_address_is_malformed(value):
    assert judged(as_text(value)).state == "malformed"


def test_what_is_said_of_an_ingredient_is_not_said_of_the_image():
    nested = as_text("http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia")
    nested = nested.replace("<e:D", "<e:Source><e:D").replace("Type></", "Type></e:Source></", 1)
    assert nested.count("e:Source>") == 2
    assert judged(nested).state == "absent"


def test_nothing_is_absent():
    assert xmp_source_type({}).state == "absent"
    assert judged(FRAME % ("", "")).state == "absent"
    assert judged(as_text(AI).replace("iptc.org/std", "example.org/std")).state == "absent"


@pytest.mark.parametrize(
    "packet",
    [
        "no XML",
        "<a>",
        "<a>" * 9000 + "</a>" * 8999,
        "<!DOCTYPE a [<!ENTITY b 'cc'>]><a>&b;</a>",
        "<!doctype a><a/>",
        as_text(AI) + " " * (64 << 10),
        as_text("\ud800"),
    ],
    ids=["prose", "open", "deep", "entity", "doctype", "huge", "surrogate"],
)
def test_hostile_or_broken_packets_are_malformed(packet):
    reading = judged(packet)
    assert reading.state == "malformed"
    assert reading.reason


@settings(deadline=None)
@given(st.text())
def test_any_text_is_judged_without_an_exception(packet):
    assert judged(packet).state in ("absent", "malformed")
