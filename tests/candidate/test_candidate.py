"""A candidate: where its manifest is found, and which traits it has."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from certify.candidate.candidate import Candidate, read_candidate
from certify.candidate.manifest import ManifestErrors
from certify.submission.submission import SubmissionError, open_submission
from certify.terms.traits import TRAITS

MANIFEST = """\
schema = 1
[plugin]
name = "inkwash"
version = "1.0.0"
sdk = ">=1.0,<2"
entry = "inkwash.plugin:create"
model_types = ["v1.5"]
generates_faces = false
[platforms]
os = ["linux"]
python = ">=3.10"
[licence]
expression = "MIT"
files = ["LICENSE"]
[commercial]
paid = false
revenue_tier = "up-to-50k"
"""


def read(tmp_path: Path, content: dict[str, str | bytes]) -> Candidate:
    for path, data in content.items():
        file = tmp_path / "plugin" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_candidate(open_submission(tmp_path / "plugin", tmp_path / "staged"))


def read_wheel(tmp_path: Path, *manifests: str) -> Candidate:
    wheel = tmp_path / "inkwash-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("inkwash/plugin.py", "")
        for path in manifests:
            archive.writestr(path, MANIFEST)
    return read_candidate(open_submission(wheel, tmp_path / "staged"))


def safetensors(*tensors: str) -> bytes:
    row = {"dtype": "F16", "shape": [0], "data_offsets": [0, 0]}
    header = json.dumps({"__metadata__": {"format": "pt"}, **dict.fromkeys(tensors, row)}).encode()
    return len(header).to_bytes(8, "little") + header


def test_a_candidate_is_known_by_name_version_digest_and_kind(tmp_path: Path) -> None:
    candidate = read(tmp_path, {"plugin.toml": MANIFEST})
    assert (candidate.name, candidate.version, candidate.kind) == ("inkwash", "1.0.0", "native")
    assert candidate.digest == candidate.submission.digest
    assert candidate.root == tmp_path / "staged"
    assert candidate.file("LICENSE") == tmp_path / "staged" / "LICENSE"


def test_files_that_the_manifest_names_need_not_exist(tmp_path: Path) -> None:
    assert not read(tmp_path, {"plugin.toml": MANIFEST}).file("LICENSE").exists()


def test_the_manifest_may_live_in_pyproject(tmp_path: Path) -> None:
    text = "[tool.certify.plugin]\n" + MANIFEST.replace("\n[", "\n[tool.certify.plugin.")
    candidate = read(tmp_path, {"pyproject.toml": text})
    assert (candidate.name, candidate.manifest_file) == ("inkwash", "pyproject.toml")


def test_plugin_toml_goes_before_pyproject(tmp_path: Path) -> None:
    candidate = read(
        tmp_path, {"plugin.toml": MANIFEST, "pyproject.toml": "[tool.certify.plugin]\nschema = 1\n"}
    )
    assert candidate.manifest_file == "plugin.toml"


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    assert read(tmp_path, {"plugin.toml": b"\xef\xbb\xbf" + MANIFEST.encode()}).name == "inkwash"


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        ({"a.py": ""}, "docs/plugin.md"),
        ({"a.py": "", "pyproject.toml": "[project]\n"}, "Write a plugin.toml"),
        ({"a.py": "", "pyproject.toml": "tool = 3\n"}, "examples/inkwash"),
        ({"plugins.toml": MANIFEST}, "Rename 'plugins.toml' to plugin.toml."),
        ({"inkwash/plugin.toml": MANIFEST, "README": ""}, "'inkwash/plugin.toml' is a manifest"),
    ],
)
def test_without_a_manifest_the_author_is_told_what_to_do(
    tmp_path: Path, content: dict[str, str | bytes], hint: str
) -> None:
    with pytest.raises(SubmissionError, match=r"has neither plugin\.toml nor") as caught:
        read(tmp_path, content)
    assert hint in caught.value.hint


def test_the_least_manifest_that_is_told_is_enough_and_needed(tmp_path: Path) -> None:
    with pytest.raises(SubmissionError) as caught:
        read(tmp_path / "none", {"a.py": ""})
    least = caught.value.hint.partition("with at least: ")[2].partition(".\n")[0]
    told = re.findall(r"\[?\w+\]?", least.replace("schema = 1", "schema"))
    assert told == re.findall(r"^(?:\[\w+\]|\w+)", MANIFEST, re.MULTILINE)
    lines = MANIFEST.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if not line.startswith("["):
            with pytest.raises(ManifestErrors):
                read(tmp_path / str(number), {"plugin.toml": "".join(lines[:number] + lines[number + 1 :])})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"plugin.toml": b"schema = 1\n# caf\xe9\n"}, "plugin.toml:2: not UTF-8. Save the file as UTF-8."),
        ({"plugin.toml": "#" * 300_000}, "plugin.toml:1: larger than 256 KiB"),
        ({"plugin.toml": "schema = \n"}, "plugin.toml:1: not valid TOML"),
        ({"pyproject.toml": "[tool.certify.plugin\n"}, "pyproject.toml:1: not valid TOML"),
        ({"pyproject.toml": "[tool.certify.plugin]\nschema = 1\n"}, "tool.certify.plugin.plugin is missing"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_told_with_file_and_line(
    tmp_path: Path, content: dict[str, str | bytes], told: str
) -> None:
    with pytest.raises(ManifestErrors) as caught:
        read(tmp_path, content)
    assert told in caught.value.message


@pytest.mark.parametrize(
    "path", ["plugin.toml", "inkwash/plugin.toml", "inkwash-1.0.0.data/data/plugin.toml"]
)
def test_a_wheel_may_hold_the_manifest_up_to_two_folders_deep(tmp_path: Path, path: str) -> None:
    candidate = read_wheel(tmp_path, path)
    assert candidate.manifest_file == path
    assert candidate.file("LICENSE") == (tmp_path / "staged" / path).parent / "LICENSE"


def test_the_shallowest_manifest_of_a_wheel_is_taken(tmp_path: Path) -> None:
    assert (
        read_wheel(tmp_path, "a/b/plugin.toml", "inkwash/plugin.toml").manifest_file == "inkwash/plugin.toml"
    )


def test_two_manifests_at_the_same_depth_of_a_wheel_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SubmissionError, match=r"more than one plugin\.toml: a/plugin\.toml, b/plugin\.toml"):
        read_wheel(tmp_path, "b/plugin.toml", "a/plugin.toml")


def test_a_manifest_three_folders_deep_in_a_wheel_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(SubmissionError, match="has neither"):
        read_wheel(tmp_path, "a/b/c/plugin.toml")


# --- traits ---


LORA = """
[[loras]]
name = "ink"
url = "https://example.org/ink.safetensors"
source = "example.org"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
base = "v1.5"
licence = "CC-BY-4.0"
licence_file = "LORA"
commercial = true
"""


SAMPLERS = '\n[[samplers]]\nname = "x"\nentry = "a:b"\nalgorithm = "Euler a"\n'


@pytest.mark.parametrize(
    ("text", "traits"),
    [
        (MANIFEST, {"native"}),
        (MANIFEST + LORA, {"native", "uses-lora"}),
        (
            MANIFEST.replace('version = "1', 'kind = "diffusers-pipeline"\nversion = "1'),
            {"diffusers-pipeline"},
        ),
        (MANIFEST.replace("faces = false", "faces = true"), {"native", "generates-faces"}),
        (MANIFEST.replace("paid = false", "paid = true"), {"native", "commercial"}),
        (MANIFEST.replace("up-to-50k", "above-50k"), {"native", "commercial", "above-50k"}),
        (
            MANIFEST + SAMPLERS,
            {"native", "has-samplers", "has-a-sampler-by-name", "has-a-stochastic-sampler"},
        ),
        (
            MANIFEST + SAMPLERS.replace('algorithm = "Euler a"', 'prediction_types = ["epsilon", "sample"]'),
            {
                "native",
                "has-samplers",
                "has-a-deterministic-sampler",
                "has-a-sampler-of-several-predictions",
            },
        ),
        (MANIFEST + '[marks]\ninvisible = "dwtDctSvd"\n', {"native", "declares-marks"}),
        (MANIFEST + '[marks]\nmetadata = ["iptc"]\n', {"native", "declares-marks"}),
        (MANIFEST + "[marks]\n", {"native"}),
    ],
)
def test_traits_follow_from_the_manifest(tmp_path: Path, text: str, traits: set[str]) -> None:
    candidate = read(tmp_path, {"plugin.toml": text})
    assert candidate.traits == traits
    assert candidate.traits <= TRAITS


@pytest.mark.parametrize(
    "tensor",
    [
        "lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight",
        "unet.down_blocks.0.attentions.0.attn2.to_k.lora_A.weight",
        "unet.down_blocks.0.attn1.processor.to_q_lora.up.weight",
        "text_encoder.q_proj.lora_linear_layer.down.weight",
        "lora_unet_mid_block.hada_w1_a",
        "lora_unet_mid_block.lokr_w2",
    ],
)
def test_an_undeclared_lora_is_known_by_its_tensors(tmp_path: Path, tensor: str) -> None:
    candidate = read(tmp_path, {"plugin.toml": MANIFEST, "w/style.SafeTensors": safetensors("x", tensor)})
    assert "uses-lora" in candidate.traits


@pytest.mark.parametrize(
    "content",
    [
        safetensors("unet.down_blocks.0.attn1.to_q.weight", "exploration.weight", "floral.bias"),
        safetensors(),
        b"",
        b"\xff" * 64,
        (17 << 20).to_bytes(8, "little") + b"{}",
        (200_000).to_bytes(8, "little") + b"[" * 200_000,
        (7).to_bytes(8, "little") + b'["lora_',
    ],
    ids=["weights", "no tensors", "empty", "noise", "huge header", "nested", "cut"],
)
def test_other_and_broken_safetensors_are_no_loras(tmp_path: Path, content: bytes) -> None:
    candidate = read(tmp_path, {"plugin.toml": MANIFEST, "w.safetensors": content})
    assert candidate.traits == {"native"}


def test_reading_a_candidate_neither_imports_it_nor_anything_heavy(tmp_path: Path) -> None:
    (tmp_path / "plugin" / "inkwash").mkdir(parents=True)
    (tmp_path / "plugin" / "plugin.toml").write_text(MANIFEST)
    (tmp_path / "plugin" / "inkwash" / "__init__.py").write_text("raise SystemExit('imported')")
    code = (
        "import sys, pathlib as p; from certify.candidate.candidate import read_candidate; "
        "from certify.submission.submission import open_submission; "
        "read_candidate(open_submission(p.Path('plugin'), p.Path('staged'))); "
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    repository = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(repository)!r}); {code}"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert not {"inkwash", "torch", "numpy", "diffusers"} & set(done.stdout.split())
