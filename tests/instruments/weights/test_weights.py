"""Weight files are known by their bytes, whatever they are called."""

import io
import json
import os
import pickle
import struct
import sys
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.instruments.weights import (
    MAX_HEADER_BYTES,
    WeightsError,
    check_weights,
    looks_like_lora,
    read_safetensors_header,
    sha256_of,
    sniff,
)
from certify.instruments.weights.inspection import MAX_READ
from certify.instruments.weights.pickle import ALLOWED, is_pickle, read_pickles, refused
from certify.instruments.weights.scanners import second_opinions
from tests.corpora import weights as corpus
from tests.corpora.pickling import call, tensors, torch_archive

TENSORS: dict[str, np.ndarray] = {
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


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return corpus.write(tmp_path_factory.mktemp("weights"))


@pytest.mark.parametrize("name", corpus.BAD)
def test_a_bad_file_is_refused(cases, name):
    found = check_weights(cases[0], [name])
    assert {one.band for one in found} == {"A"}
    assert all(one.message.isprintable() and len(one.message) < 400 for one in found)


@pytest.mark.parametrize("name", corpus.GOOD_FILES)
def test_a_good_file_is_not_refused(cases, name):
    found = check_weights(cases[1], [name])
    assert {one.rule for one in found} <= {"pickle-of-tensors"}


def test_there_are_enough_cases():
    assert len(corpus.BAD) >= 20 and len(corpus.GOOD_FILES) >= 10


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_of_any_protocol_is_known(put, protocol):
    assert sniff(put(pickle.dumps(STATE, protocol=protocol))) == "pickle"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (archive(), "zip"),
        (GOOD + archive(), "zip"),
        (objects(), "npy"),
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
    assert check_weights(put(stream.getvalue(), "a.npy").parent, ["a.npy"]) == []


def test_a_pickle_named_safetensors_is_refused(put, tmp_path):
    put(pickle.dumps(STATE), "lora.safetensors")
    put(archive(), "model.bin")
    put(GOOD, "good.safetensors")
    put(b"no weights", "empty.safetensors")
    put(b"words", "README.md")
    names = ["lora.safetensors", "model.bin", "good.safetensors", "empty.safetensors", "README.md", "gone.pt"]
    found = [(finding.file, finding.rule) for finding in check_weights(tmp_path, names)]
    assert found == [
        ("lora.safetensors", "not-safetensors"),
        ("model.bin", "pickle-of-tensors"),
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
    "impossible shape or position": raw({"a": tensor(0, 1, shape=[1] * 17)}, bytes(1)),
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
        assert check_weights(path.parent, [path.name]) == check_weights(path.parent, [path.name])
        try:
            read_safetensors_header(path)
        except WeightsError as error:
            assert str(error)


SEEDS = [
    corpus.BAD[name]() for name in corpus.BAD if name not in ("long-header.safetensors", "bomb.safetensors")
]
SEEDS += [make() for make in corpus.GOOD_FILES.values()]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(SEEDS), st.data())
def test_a_file_with_bytes_changed_is_judged_without_a_surprise(tmp_path_factory, seed, data):
    changed = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 6))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(changed)))
    name = data.draw(st.sampled_from(["x.safetensors", "x.pt", "x.gguf", "x.onnx", "x.npz", "x"]))
    folder = tmp_path_factory.mktemp("changed")
    for content in (changed, changed[:cut]):
        (folder / name).write_bytes(content)
        for found in check_weights(folder, [name]):
            assert found.message.isprintable() and found.snippet.isprintable()
            assert found.file == name and found.rule and found.band in "AB"


def test_nothing_of_a_pickle_is_run(put, tmp_path, monkeypatch):
    marker = tmp_path / "ran"
    put(call("pathlib.Path.touch", str(marker)), "x.pkl")
    put(call("os.mkdir", str(marker)), "y.pkl")
    check_weights(tmp_path, ["x.pkl", "y.pkl"])
    assert not marker.exists()


def test_what_torch_itself_saves_is_allowed(tmp_path):
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(3, 2)
    values = {
        "state": layer.state_dict(),
        "parameter": torch.nn.Parameter(torch.zeros(2)),
        "half": torch.zeros(2, dtype=torch.float16),
        "brain": torch.zeros(2, dtype=torch.bfloat16),
        "dtype": torch.float32,
        "size": torch.Size([1, 2]),
        "flags": torch.tensor([True, False]),
    }
    torch.save(values, tmp_path / "new.pt")
    torch.save(values, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    found = check_weights(tmp_path, ["new.pt", "old.pt"])
    assert [(one.file, one.rule) for one in found] == [
        ("new.pt", "pickle-of-tensors"),
        ("old.pt", "pickle-of-tensors"),
    ]


def test_a_pickle_of_the_standard_librarys_own_is_followed_to_its_end():
    for protocol in range(6):
        data = pickle.dumps([{1: (2.5, "a" * 70_000)}, {b"x", None, True}, frozenset([3])], protocol=protocol)
        reading = read_pickles(io.BytesIO(data), len(data))
        assert (reading.error, reading.trailing, refused(reading)) == ("", False, [])


def test_every_name_that_a_pickle_reaches_is_told_even_by_way_of_the_memo():
    data = pickle.dumps([os.getpid, sys.exit, os.getpid, Exception], protocol=4)
    module = os.getpid.__module__
    assert refused(read_pickles(io.BytesIO(data), len(data))) == sorted(
        [f"{module}.getpid", "sys.exit", "builtins.Exception"]
    )


@pytest.mark.parametrize(
    "name", ["os.system", "builtins.eval", "torch.load", "torch.hub.load", "collections.OrderedDict.x"]
)
def test_only_names_of_tensors_are_allowed(name):
    assert not ALLOWED.fullmatch(name)


@pytest.mark.parametrize(
    "text",
    [b"copyright (c) 2024\nsomebody else\nall rights.", b"(see below).", b"I am.\n", b"]", b"Notes.\n" * 99],
)
def test_a_text_is_no_pickle(text):
    assert not is_pickle(io.BytesIO(text), len(text))


def test_a_long_header_and_a_bomb_cost_little(cases):
    started = time.process_time()
    tracemalloc.start()
    check_weights(cases[0], ["long-header.safetensors", "bomb.safetensors", "lying-counts.gguf"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.process_time() - started < 2
    assert peak < 2 * MAX_HEADER_BYTES


def test_a_pickle_that_claims_gigabytes_costs_none(put):
    path = put(b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + bytes(100) + b".", "x.pkl")
    assert [one.rule for one in check_weights(path.parent, ["x.pkl"])] == ["not-scanned"]


def test_a_pickle_without_end_is_given_up(put):
    path = put(b"\x80\x02" + b"N0" * 3_000_000, "x.pkl")
    started = time.process_time()
    [found] = check_weights(path.parent, ["x.pkl"])
    assert "more than" in found.message
    assert time.process_time() - started < 30


def test_a_large_argument_is_passed_over_without_being_read(put):
    data = b"\x80\x04B" + struct.pack("<I", 90 << 20) + bytes(90 << 20) + b"0" + call("os.getpid")[2:]
    path = put(data, "x.pkl")
    tracemalloc.start()
    [found] = check_weights(path.parent, ["x.pkl"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "os.getpid" in found.message  # though it comes after 90 MiB
    assert peak < MAX_READ // 8


def test_a_pickle_that_begins_with_a_long_text_is_known_inside_an_archive_too(put):
    data = b"\x80\x04B" + struct.pack("<I", 1 << 17) + bytes(1 << 17) + b"0" + call("os.getpid")[2:]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        packed.writestr("numbers.dat", data)
    path = put(stream.getvalue(), "x.npz")
    assert [one.rule for one in check_weights(path.parent, ["x.npz"])] == ["pickle"]


def test_a_link_that_leads_to_itself_and_a_pipe_are_told(tmp_path):
    (tmp_path / "loop.safetensors").symlink_to(tmp_path / "loop.safetensors")
    names = ["loop.safetensors"]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.safetensors")
        names.append("pipe.safetensors")
    assert [one.rule for one in check_weights(tmp_path, names)] == ["unreadable"] * len(names)


def test_archives_in_archives_are_given_up_at_a_depth(put):
    data = torch_archive(tensors())
    for _ in range(6):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as packed:
            packed.writestr("inner.pt", data)
        data = stream.getvalue()
    path = put(data, "x.pt")
    assert [one.rule for one in check_weights(path.parent, ["x.pt"])] == ["not-scanned"]


def test_a_pointer_of_git_lfs_is_called_one(put):
    path = put(b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 1\n")
    assert "Git LFS pointer" in check_weights(path.parent, [path.name])[0].message


def test_a_second_opinion_refuses_what_it_calls_dangerous(tmp_path):
    pytest.importorskip("picklescan")
    (tmp_path / "x.pkl").write_bytes(call("os.system", "true"))
    found, asked = second_opinions(tmp_path, ["x.pkl"])
    assert "scanned with picklescan" in asked
    assert [(one.rule, one.band) for one in found][:1] == [("second-opinion", "A")]


def test_without_other_scanners_none_is_asked(tmp_path, monkeypatch):
    monkeypatch.setattr("certify.instruments.weights.scanners._has_picklescan", lambda: False)
    monkeypatch.setattr("certify.instruments.weights.scanners._modelaudit", lambda: None)
    (tmp_path / "x.pkl").write_bytes(call("os.system", "true"))
    assert second_opinions(tmp_path, ["x.pkl"]) == ([], [])


AUDIT = """#!{python}
import json, sys
scanned = [path for path in sys.argv[1:] if path.endswith(".pkl")]
bad = [path for path in scanned if b"system" in open(path, "rb").read()]
issues = [{{"severity": "critical", "message": "it calls", "location": path + " (pos 3)"}} for path in bad]
print(json.dumps({{"issues": issues, "file_metadata": dict.fromkeys(scanned, {{}})}}))
"""


def test_a_scanner_that_can_not_read_a_file_is_named(tmp_path, monkeypatch):
    program = tmp_path / "modelaudit"
    program.write_text(AUDIT.format(python=sys.executable), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr("certify.instruments.weights.scanners._has_picklescan", lambda: False)
    monkeypatch.setattr("certify.instruments.weights.scanners._modelaudit", lambda: str(program))
    (tmp_path / "x.pkl").write_bytes(call("os.system", "true"))
    (tmp_path / "y.pkl").write_bytes(pickle.dumps([1]))
    (tmp_path / "z.bin").write_bytes(pickle.dumps([1]))
    (tmp_path / "README.md").write_text("words", encoding="utf-8")
    found, asked = second_opinions(tmp_path, ["x.pkl", "y.pkl", "z.bin", "README.md"])
    assert [(one.file, one.message) for one in found] == [("x.pkl", "modelaudit: it calls")]
    assert asked == ["scanned with modelaudit", "modelaudit could not read z.bin"]
