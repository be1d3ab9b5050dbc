"""LoRAs by their headers: style, base by shape, lying metadata, permissions, private matter."""

from __future__ import annotations

import hashlib
import io
import json
import pickle

import pytest

from certify.instruments.loras.files import (
    check_base,
    check_metadata,
    check_privacy,
    family_of,
    is_lora_file,
    read_lora,
)
from certify.instruments.loras.permissions import check_permissions, read_civitai
from certify.instruments.weights import WeightsError
from certify.instruments.weights.first_bytes import glance
from tests.corpora.weights import gguf, zipped
from tests.defects.lora import lora_file, safetensors

STYLES = ("PEFT", "kohya", "diffusers", "LyCORIS")


def lora(tmp_path, **about):
    (tmp_path / "a.safetensors").write_bytes(lora_file(**about))
    return read_lora(tmp_path, "a.safetensors")


def rules(findings):
    return [(row.rule, row.band) for row in findings]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("width", "family"), [(768, "v1"), (1024, "v2"), (2048, "sdxl")])
def test_the_base_is_known_by_its_shapes_in_every_style(tmp_path, style, width, family):
    read = lora(tmp_path, style=style, width=width, rank=4)
    assert (read.family, read.width) == (family, width)
    assert is_lora_file(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("width", "declared", "expected"),
    [
        (768, "v1.5", []),
        (768, "v1.4", []),  # the same shapes: never told apart by them
        (1024, "v2.0", []),
        (1024, "v1.5", [("wrong-base", "A")]),
        (2048, "v2.0", [("wrong-base", "A")]),
        (640, "v1.5", [("wrong-base", "A")]),
        (768, "my own", [("base-unknown", "B")]),
    ],
)
def test_shapes_are_held_against_the_declared_base(tmp_path, width, declared, expected):
    assert rules(check_base(lora(tmp_path, width=width), declared)) == expected


def test_the_text_encoder_tells_the_base_where_the_unet_does_not(tmp_path):
    names = {
        "lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight": (4, 1024),
        "lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_up.weight": (1024, 4),
    }
    (tmp_path / "a.safetensors").write_bytes(safetensors(names))
    assert read_lora(tmp_path, "a.safetensors").family == "v2"


def test_where_no_tensor_tells_nothing_is_rejected(tmp_path):
    assert rules(check_base(lora(tmp_path, style="output", width=320), "v1.5")) == [("base-unknown", "C")]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"ss_base_model_version": "sd_v1"}, []),
        ({"ss_base_model_version": "sd_v2_v"}, [("lying-metadata", "A")]),
        ({"ss_v2": "True"}, [("lying-metadata", "A")]),
        ({"ss_v2": "False"}, []),
        ({"modelspec.architecture": "stable-diffusion-v1/lora"}, []),
        ({"modelspec.architecture": "stable-diffusion-xl-v1-base/lora"}, [("lying-metadata", "A")]),
        ({"modelspec.architecture": "stable-diffusion-v2-768-v/lora"}, [("lying-metadata", "A")]),
        ({"ss_sd_model_name": "sd_xl_base.safetensors"}, [("lying-metadata", "B")]),
        ({"ss_sd_model_name": "v1-5-pruned.safetensors"}, []),
        ({"ss_sd_model_name": "my-mix.safetensors"}, []),
        ({"base_model": "runwayml/stable-diffusion-v1-5"}, []),
        ({"ss_network_dim": "64"}, [("lying-metadata", "B")]),
        ({"ss_network_dim": "4"}, []),
        ({"ss_network_dim": "Dynamic"}, []),
    ],
)
def test_metadata_is_held_against_the_shapes(tmp_path, metadata, expected):
    read = lora(tmp_path, rank=4, metadata=metadata)
    assert rules(check_metadata(read, tmp_path)) == expected


@pytest.mark.parametrize("key", ["modelspec.hash_sha256", "sshs_model_hash"])
def test_the_hash_in_the_metadata_is_that_of_the_tensors(tmp_path, key):
    data = lora_file(rank=4)
    tensors = data[8 + int.from_bytes(data[:8], "little") :]
    honest = {key: "0x" + hashlib.sha256(tensors).hexdigest()}
    assert check_metadata(lora(tmp_path, rank=4, metadata=honest), tmp_path) == []
    lying = {key: "0x" + hashlib.sha256(b"others").hexdigest()}
    assert rules(check_metadata(lora(tmp_path, rank=4, metadata=lying), tmp_path)) == [
        ("lying-metadata", "A")
    ]


def test_the_configuration_of_peft_beside_the_file_counts_as_metadata(tmp_path):
    (tmp_path / "adapter_config.json").write_text(
        json.dumps({"base_model_name_or_path": "stabilityai/stable-diffusion-2-1", "r": 4}), "utf-8"
    )
    assert rules(check_metadata(lora(tmp_path, rank=4), tmp_path)) == [("lying-metadata", "B")]


@pytest.mark.parametrize(
    ("metadata", "rule"),
    [
        ({"ss_tag_frequency": '{"10_jane": {"jane": 10}}'}, "captions"),
        ({"ss_dataset_dirs": '{"10_jane": {"n_repeats": 10}}'}, "captions"),
        ({"ss_output_name": r"C:\\Users\\jane\\out"}, "local-path"),
        ({"ss_training_comment": "see /home/jane/set"}, "local-path"),
        ({"author": "jane@example.org"}, "mail"),
    ],
)
def test_private_matter_is_found(tmp_path, metadata, rule):
    assert [row.rule for row in check_privacy(lora(tmp_path, metadata=metadata))] == [rule]


@pytest.mark.parametrize(
    "metadata",
    [
        {"ss_tag_frequency": "{}", "ss_dataset_dirs": ""},
        {"modelspec.license": "https://example.org/home/licence", "ss_resolution": "(512, 512)"},
        {"ss_network_args": '{"conv_dim": "4"}', "modelspec.date": "2026-01-01T00:00:00"},
    ],
)
def test_ordinary_metadata_is_no_private_matter(tmp_path, metadata):
    assert check_privacy(lora(tmp_path, metadata=metadata)) == []


@pytest.mark.parametrize(
    ("record", "paid", "expected"),
    [
        ({"allowCommercialUse": ["Image", "Sell"]}, True, []),
        ({"allowCommercialUse": "{Image,Rent,Sell}"}, True, []),
        ({"allowCommercialUse": ["Image", "RentCivit", "Rent"]}, True, [("contradicts-licence", "A")]),
        ({"allowCommercialUse": ["Image"]}, False, []),
        ({"allowCommercialUse": []}, False, [("contradicts-licence", "A")]),
        ({"allowCommercialUse": "None"}, False, [("contradicts-licence", "A")]),
        ({"model": {"allowCommercialUse": ["None"]}}, False, [("contradicts-licence", "A")]),
        ({"allowNoCredit": False}, True, [("credit", "C")]),
        ({"allowDerivatives": False}, True, [("no-derivatives", "B")]),
        ({"allowDifferentLicense": False}, True, [("same-licence", "B")]),
        ({"activation text": "jane"}, True, []),
    ],
)
def test_civitais_permissions_are_held_against_the_sale(tmp_path, record, paid, expected):
    read = lora(tmp_path)
    (tmp_path / "a.civitai.info").write_text(json.dumps(record), "utf-8")
    found = check_permissions(read, read_civitai(tmp_path, "a.safetensors"), "CC-BY-4.0", True, paid)
    assert rules(found) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("cc-by-4.0", []),
        ("CC-BY-NC-4.0", [("contradicts-licence", "A")]),
        ("flux-1-dev-non-commercial-license", [("contradicts-licence", "A")]),
        ("creativeml-openrail-m", [("contradicts-licence", "A")]),
        ("ask me", [("contradicts-licence", "B")]),
        ("openrail", [("contradicts-licence", "B")]),
        ("other", []),
        ("", []),
    ],
)
def test_the_licence_in_the_metadata_is_held_against_the_manifests(tmp_path, said, expected):
    read = lora(tmp_path, metadata={"modelspec.license": said})
    assert rules(check_permissions(read, None, "CC-BY-4.0", True, True)) == expected


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"\xff\xfe", b"{" * 5000, b'{"allowCommercialUse": 7}'])
def test_a_broken_record_breaks_nothing(tmp_path, content):
    read = lora(tmp_path)
    (tmp_path / "a.json").write_bytes(content)
    assert check_permissions(read, read_civitai(tmp_path, "a.safetensors"), "MIT", False, False) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04" + b"0" * 64,
        (200 << 20).to_bytes(8, "little") + b"{" + b"x" * 100,
        lora_file(overlaps=True),
        lora_file()[:-1],
    ],
    ids=["empty", "zip", "huge header", "overlap", "cut"],
)
def test_what_is_no_safetensors_is_no_lora_and_says_so(tmp_path, content):
    (tmp_path / "a.safetensors").write_bytes(content)
    assert not is_lora_file(tmp_path / "a.safetensors")
    with pytest.raises(WeightsError):
        read_lora(tmp_path, "a.safetensors")


def test_a_lora_is_one_under_any_name_and_other_weights_are_none(tmp_path):
    (tmp_path / "table.bin").write_bytes(lora_file())
    assert is_lora_file(tmp_path / "table.bin")
    (tmp_path / "unet.safetensors").write_bytes(safetensors({"down_blocks.0.attn2.to_k.weight": (320, 768)}))
    assert not is_lora_file(tmp_path / "unet.safetensors")
    assert not is_lora_file(tmp_path / "gone")


@pytest.mark.parametrize(
    ("name", "family"),
    [("v1.4", "v1"), ("v2.0", "v2"), ("SDXL 1.0", "sdxl"), ("sd_v1", "v1"), ("stable-diffusion-v2-512", "v2"),
     ("Pony", "sdxl"), ("flux1-dev", "other"), ("a kettle", "")],
)  # fmt: skip
def test_names_of_base_models_are_known(name, family):
    assert family_of(name) == family


def glanced(data):
    return glance(io.BytesIO(data), len(data))


@pytest.mark.parametrize("style", STYLES)
def test_a_glance_knows_a_lora_in_every_style_without_parsing_it(style):
    data = lora_file(style=style)
    assert glanced(data) == "LoRA"


def test_a_name_in_escapes_is_read_as_it_is_meant():
    header = b'{"x.lor\\u0061_A.weight":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
    assert glanced(len(header).to_bytes(8, "little") + header + b"0") == "LoRA"


def test_a_glance_tells_weights_from_other_data():
    state = b"\x80\x02X\x14\x00\x00\x00x.to_k.lora_A.weight."
    assert glanced(safetensors({"emb_params": (1, 768)})) == "weights"
    assert glanced(gguf({"general.name": "x"})) == "weights"
    assert glanced(zipped(**{"archive/data.pkl": state, "archive/version": b"3"})) == "LoRA"
    assert glanced(zipped(**{"archive/data.pkl": b"\x80\x02}.", "archive/version": b"3"})) == "weights"
    # Documents and plain pickles are data as often.
    for data in (zipped(**{"word/document.xml": b"lora_A"}), pickle.dumps({"a": 1}), b"", b"{}", bytes(100)):
        assert glanced(data) == ""


def test_a_glance_at_a_header_that_lies_about_its_length_is_short():
    assert glanced((1 << 40).to_bytes(8, "little") + b"{") == ""
    assert glanced((1 << 23).to_bytes(8, "little") + b'{"a_lora_A"') == ""
