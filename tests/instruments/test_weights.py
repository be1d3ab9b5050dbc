"""Weight files are known by their bytes, whatever they are called."""

import io
import json
import pickle
import struct
import zipfile

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.instruments.weights import (
    WeightsError,
    check_weights,
    looks_like_lora,
    read_safetensors_header,
    sha256_of,
    sniff,
)

TENSORS = {
    "unet.attn2.to_k.lora_A.weight": np.zeros((4, 768), np.float32),
    "unet.attn2.to_k.lora_B.weight": np.ones((320, 4), np.float16),
}
GOOD = safetensors.numpy.save(TENSORS, metadata={"format": "pt"})
STATE = {"weight": [1.0, 2.0], "name": "x"}


def archive():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(STATE))
        file.writestr("archive/data/0", bytes(5000))
    return stream.getvalue()


def objects():
    stream = io.BytesIO()
    np.save(stream, np.array([{}], dtype=object), allow_pickle=True)
    return stream.getvalue()


def raw(fields, data=b"", pad=0):
    header = json.dumps(fields).encode()
    return struct.pack("<Q", len(header) + pad) + header + data


def tensor(begin, end, shape=None, dtype="U8"):
    return {"dtype": dtype, "shape": [end - begin] if shape is None else shape, "data_offsets": [begin, end]}


@pytest.fixture
def put(tmp_path):
    def put(data, name="x.safetensors"):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return put


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_of_any_protocol_is_known(put, protocol):
    assert sniff(put(pickle.dumps(STATE, protocol=protocol))) == "pickle"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (archive(), "zip-pickle"),
        (GOOD + archive(), "zip-pickle"),
        (objects(), "pickle"),
        (GOOD, "safetensors"),
        (b"", "other"),
        (b".", "other"),
        (b"Not a pickle. Only a text.", "other"),
        (b"\x80\x02", "other"),
        (b"\x80\x02 looks like one and isn't", "other"),
        (bytes(100), "other"),
    ],
)
def test_bytes_decide_what_a_file_is(put, data, kind):
    assert sniff(put(data)) == kind


def test_an_array_of_numbers_is_no_pickle(put):
    stream = io.BytesIO()
    np.save(stream, np.arange(5))
    assert sniff(put(stream.getvalue(), "a.npy")) == "other"


def test_a_pickle_named_safetensors_is_refused(put, tmp_path):
    put(pickle.dumps(STATE), "lora.safetensors")
    put(archive(), "model.bin")
    put(GOOD, "good.safetensors")
    put(b"no weights", "empty.safetensors")
    put(b"words", "README.md")
    names = ["lora.safetensors", "model.bin", "good.safetensors", "empty.safetensors", "README.md", "gone.pt"]
    found = [(finding.file, finding.rule) for finding in check_weights(tmp_path, names)]
    assert found == [
        ("lora.safetensors", "pickle"),
        ("model.bin", "pickle"),
        ("empty.safetensors", "not-safetensors"),
        ("gone.pt", "unreadable"),
    ]


def test_the_header_gives_names_types_and_shapes(put):
    header = read_safetensors_header(put(GOOD))
    assert header.metadata == {"format": "pt"}
    assert header.tensors["unet.attn2.to_k.lora_A.weight"] == ("F32", (4, 768))
    assert header.tensors["unet.attn2.to_k.lora_B.weight"] == ("F16", (320, 4))
    assert looks_like_lora(header)


def test_a_model_does_not_look_like_a_lora(put):
    assert not looks_like_lora(
        read_safetensors_header(put(safetensors.numpy.save({"conv.weight": np.zeros(3)})))
    )


BROKEN = {
    "must have 2 to": struct.pack("<Q", 1 << 60) + b"{}",
    "ends inside its header": raw({}, pad=9),
    "the header is not JSON": struct.pack("<Q", 4) + b"{no}",
    "not a JSON object": raw([1]),
    "has a name twice": struct.pack("<Q", 15) + b'{"a":1, "a": 2}',
    "metadata is not a table of texts": raw({"__metadata__": {"a": 1}}),
    "needs dtype, shape": raw({"a": {"dtype": "U8"}}),
    "an unknown dtype": raw({"a": tensor(0, 4, dtype="Q9")}, bytes(4)),
    "an impossible shape": raw({"a": tensor(0, 4, shape=[-4])}, bytes(4)),
    "impossible shape or place": raw({"a": tensor(0, 1, shape=[1] * 17)}, bytes(1)),
    "not as long as its shape says": raw({"a": tensor(0, 4, shape=[5])}, bytes(4)),
    "overlap": raw({"a": tensor(0, 4), "b": tensor(2, 6)}, bytes(6)),
    "leave a gap": raw({"a": tensor(0, 2), "b": tensor(3, 6)}, bytes(6)),
    "do not end where the file ends": raw({"a": tensor(0, 4)}, bytes(3)),
}


@pytest.mark.parametrize("reason", BROKEN)
def test_a_header_that_lies_is_refused_with_the_reason(put, reason):
    with pytest.raises(WeightsError, match=reason):
        read_safetensors_header(put(BROKEN[reason]))


def test_bytes_hidden_behind_the_tensors_are_refused(put):
    with pytest.raises(WeightsError, match="where the file ends"):
        read_safetensors_header(put(GOOD + b"hidden"))


def test_deep_json_is_refused(put):
    deep = b"[" * 100_000
    with pytest.raises(WeightsError, match="not JSON"):
        read_safetensors_header(put(struct.pack("<Q", len(deep)) + deep))


def test_the_digest_is_the_files(put):
    assert sha256_of(put(b"abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@settings(max_examples=100, deadline=None)
@given(data=st.one_of(st.binary(max_size=120), st.binary(max_size=60).map(lambda tail: b"\x80\x04" + tail)))
def test_any_bytes_are_judged_without_a_surprise(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "x.safetensors"
    for content in (data, data + b".", struct.pack("<Q", len(data)) + data):
        path.write_bytes(content)
        assert sniff(path) in ("safetensors", "pickle", "zip-pickle", "other")
        try:
            read_safetensors_header(path)
        except WeightsError as error:
            assert str(error)
