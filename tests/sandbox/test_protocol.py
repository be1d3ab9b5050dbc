"""Frames: what one side packs, the other gets; what no honest side sends is refused."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.sandbox.protocol import (
    MAX_HEADER,
    MAX_PAYLOAD,
    PREFIX,
    Frame,
    FrameParser,
    ProtocolError,
    pack,
    parse_header,
    read_frame,
    write_all,
)

# Lone surrogates as well: a candidate's text may hold them.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | texts
numbers = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    scalars | numbers, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)
)
headers = st.dictionaries(texts, values, max_size=5)
frames = st.lists(st.builds(Frame, headers, st.binary(max_size=200)), min_size=1, max_size=4)


def stream_of(several: list[Frame]) -> bytes:
    return b"".join(pack(frame.header, frame.payload) for frame in several)


@given(frames)
def test_what_was_packed_is_what_is_parsed(sent: list[Frame]) -> None:
    assert FrameParser().feed(stream_of(sent)) == sent


@given(frames, st.data())
def test_a_stream_fed_in_any_pieces_gives_the_same_frames(sent: list[Frame], data: st.DataObject) -> None:
    stream = stream_of(sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    parser = FrameParser()
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert [frame for piece in pieces for frame in parser.feed(piece)] == sent


def test_a_stream_fed_byte_by_byte_gives_the_same_frames() -> None:
    sent = [Frame({"op": "load", "n": 1}, b"abc"), Frame({}), Frame({"画": [1.5, None]}, bytes(range(256)))]
    parser = FrameParser()
    assert [frame for byte in stream_of(sent) for frame in parser.feed(bytes([byte]))] == sent


@pytest.mark.parametrize("sizes", [(MAX_HEADER + 1, 0), (2, MAX_PAYLOAD + 1), (2**32 - 1, 2**32 - 1)])
def test_sizes_over_the_limits_are_refused_before_a_body_arrives(sizes: tuple[int, int]) -> None:
    with pytest.raises(ProtocolError, match="over the limits"):
        FrameParser().feed(PREFIX.pack(*sizes))


def test_the_limits_themselves_are_allowed() -> None:
    assert FrameParser().feed(PREFIX.pack(MAX_HEADER, MAX_PAYLOAD)) == []


def test_a_parser_may_have_narrower_limits() -> None:
    frame = pack({"ok": True}, b"12345")
    assert len(FrameParser(max_payload=5).feed(frame)) == 1
    with pytest.raises(ProtocolError):
        FrameParser(max_payload=4).feed(frame)


def test_nothing_too_large_is_packed() -> None:
    with pytest.raises(ProtocolError, match="too large"):
        pack({"text": "x" * MAX_HEADER})


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_json_does_not_know_is_not_packed(number: float) -> None:
    with pytest.raises(ValueError):
        pack({"number": number})


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 400 + ".0"])
def test_a_number_that_is_none_is_refused(number: str) -> None:
    with pytest.raises(ProtocolError, match="not allowed"):
        parse_header(b'{"seconds": [%s]}' % number.encode())


@pytest.mark.parametrize(
    "text", ['{"ok": true, "ok": false}', '{"a": {"b": 1, "b": 1}}', '{"a":1,"\\u0061":2}']
)
def test_a_key_that_stands_twice_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError, match="twice"):
        parse_header(text.encode())


@pytest.mark.parametrize("text", ["[]", "1", '"text"', "null", "true"])
def test_a_header_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError, match="not an object"):
        parse_header(text.encode())


@pytest.mark.parametrize("text", [b"", b"{", b"{}x", b"\xff\xfe", b'{"a": \xff}', b"{'a': 1}", b'{"a": 0x1}'])
def test_what_is_not_json_is_refused(text: bytes) -> None:
    with pytest.raises(ProtocolError, match="strict JSON"):
        parse_header(text)


@pytest.mark.parametrize("depth", [14, 500, 100_000])
@pytest.mark.parametrize("pair", [("[", "]"), ('{"a":', "}")])
def test_deep_nesting_is_refused(depth: int, pair: tuple[str, str]) -> None:
    nested = pair[0] * depth + "1" + pair[1] * depth
    with pytest.raises(ProtocolError):
        parse_header(f'{{"a": {nested}}}'.encode())


def test_moderate_nesting_is_allowed() -> None:
    assert parse_header(b'{"a": [[[[[{"b": 1}]]]]]}') == {"a": [[[[[{"b": 1}]]]]]}


def test_an_endless_number_is_refused() -> None:
    with pytest.raises(ProtocolError):
        parse_header(b'{"seed": ' + b"9" * 10_000 + b"}")


def mutations(stream: bytes, source: random.Random) -> Iterator[bytes]:
    """Changed, lost, doubled and added bytes, up to four of them."""
    for _ in range(300):
        data = bytearray(stream)
        for _ in range(source.randint(1, 4)):
            place = source.randrange(len(data))
            change = source.randrange(3)
            if change == 0:
                data[place] = source.randrange(256)
            elif change == 1:
                del data[place]
            else:
                data.insert(place, source.randrange(256))
        yield bytes(data)


def test_random_damage_never_raises_anything_but_a_protocol_error() -> None:
    header: dict[str, Any] = {"nonce": "0" * 32, "ok": True, "events": [{"kind": "write"}], "seconds": 0.25}
    stream = stream_of(
        [Frame(header, b"\x00" * 16), Frame({"n": [1, 2, {"é": None}]}), Frame(header, b"png")]
    )
    refused = 0
    for damaged in mutations(stream, random.Random(20260101)):
        try:
            got = FrameParser().feed(damaged)
        except ProtocolError:
            refused += 1
        else:
            assert all(parse_header(json.dumps(frame.header).encode()) == frame.header for frame in got)
    assert refused > 100


def outcome_of(pieces: list[bytes]) -> list[Frame] | None:
    """The frames, or None where they are refused."""
    parser, got = FrameParser(), []
    try:
        for piece in pieces:
            got += parser.feed(piece)
    except ProtocolError:
        return None
    return got


@given(st.binary(max_size=300) | st.binary(max_size=99).map(lambda text: PREFIX.pack(len(text), 0) + text))
def test_random_bytes_never_raise_anything_but_a_protocol_error(data: bytes) -> None:
    """And what they come to does not depend on how they arrive."""
    assert outcome_of([data]) == outcome_of([data[at : at + 1] for at in range(len(data))])


def piped(data: bytes) -> int:
    """The reading end of a pipe that holds `data` and is closed at the other end."""
    reader, writer = os.pipe()
    write_all(writer, data)
    os.close(writer)
    return reader


def test_frames_are_read_from_a_descriptor_until_its_end() -> None:
    sent = [Frame({"op": "load"}, b"x" * 5000), Frame({"op": "bye"})]
    reader = piped(stream_of(sent))
    assert [read_frame(reader), read_frame(reader), read_frame(reader)] == [*sent, None]
    os.close(reader)


def test_a_descriptor_that_ends_inside_a_frame_is_told() -> None:
    reader = piped(pack({"op": "load"}, b"12345")[:-1])
    with pytest.raises(ProtocolError, match="ended inside"):
        read_frame(reader)
    os.close(reader)


@pytest.mark.parametrize(
    "text", [b'{"a":"\\ud800"}', b'{"a":["\\udfff"]}', b'{"\\ud800":1}', b'{"a":"\xed\xa0\x80"}']
)
def test_text_that_can_be_written_into_no_file_is_refused(text: bytes) -> None:
    with pytest.raises(ProtocolError, match=r"not Unicode|not strict JSON"):
        parse_header(text)


def test_an_integer_of_more_than_64_bits_is_refused() -> None:
    assert parse_header(b'{"seed": %d}' % (2**64 - 1)) == {"seed": 2**64 - 1}
    with pytest.raises(ProtocolError, match="not allowed"):
        parse_header(b'{"seed": 1%s}' % (b"0" * 30))
