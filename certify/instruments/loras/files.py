"""A LoRA file by its header: its naming style, the base model that its shapes fit, and what its metadata says
about base, licence and contents.

Shapes: the second dimension of a cross-attention key or value is the width of the UNet's text input: 768 for
Stable Diffusion v1, 1024 for v2, 2048 for XL. Shapes are reliable, metadata is not. v1.4 and v1.5
have the same shapes. Metadata: kohya's sd-scripts (`ss_*`, `sshs_*`), ModelSpec 1.0.1 (`modelspec.*`),
diffusers (`lora_adapter_metadata`), PEFT (`adapter_config.json` beside the file).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from certify.instruments.findings import CERTAIN, NOTED, SUSPICIOUS, Band, Finding
from certify.instruments.weights import SafetensorsHeader, WeightsError, read_safetensors_header
from certify.instruments.weights.first_bytes import ADAPTER

Family = str  # "v1", "v2", "sdxl" or another model's name

WIDTHS: dict[int, Family] = {768: "v1", 1024: "v2", 2048: "sdxl", 1280: "sdxl-refiner"}
FAMILIES: dict[str, Family] = {"v1.4": "v1", "v1.5": "v1", "v2.0": "v2"}
MAX_SIDECAR = 256 << 10

_DOWN = r"(?:lora_A(?:\.default)?|lora_down|lora\.down|lora_linear_layer\.down|hada_w1_b)"
_TEXT_INPUT = re.compile(rf"attn2[._](?:processor[._])?to_[kv](?:_lora)?[._](?:lora[._])?(?:{_DOWN}|down)\b")
_ENCODER_INPUT = re.compile(rf"(?:^|[._])(?:text_encoder|lora_te)[._].*[qk]_proj[._].*?{_DOWN}")
_ADAPTER = re.compile(ADAPTER)
_STYLES = (
    ("kohya", re.compile(r"^lora_(?:unet|te\d?)_")),
    ("diffusers", re.compile(r"\.processor\.|lora\.(?:down|up)|_lora\.(?:down|up)")),
    ("PEFT", re.compile(r"lora_[AB]\b")),
)
# Text of metadata -> family; the first match counts.
_SPOKEN = (
    ("sdxl", re.compile(r"xl|pony|illustrious", re.IGNORECASE)),
    ("other", re.compile(r"flux|sd[_-]?3|stable-diffusion-3|hunyuan|pixart|kolors|lumina", re.IGNORECASE)),
    ("v2", re.compile(r"stable[-_ ]diffusion[-_ ]v?2|\bsd[_ -]?v?2|\bv2(?:[-_.]|\b)|768-v", re.IGNORECASE)),
    (
        "v1",
        re.compile(r"stable[-_ ]diffusion[-_ ]v?1|\bsd[_ -]?v?1|\bv1(?:[-_.]|\b)|\b1\.[45]\b", re.IGNORECASE),
    ),
)
# Keys that trainers write from the model itself: they can't differ by accident.
_CERTAIN = ("ss_base_model_version", "modelspec.architecture", "ss_v2")
_LIKELY = ("ss_sd_model_name", "base", "base_model", "base_model_name_or_path")
_LICENCES = ("modelspec.license", "license", "licence")
_CAPTIONS = ("ss_tag_frequency", "ss_dataset_dirs", "ss_reg_dataset_dirs", "ss_datasets")
_LOCAL_PATH = re.compile(
    r"(?<![\w:/])(?:[A-Za-z]:\\+[\w.~ -]+\\|/(?:home|Users|root|mnt|media|workspace)/[\w.~-]+)"
)
_MAIL = re.compile(r"\b[\w.+-]+@[\w-]+\.[a-z]{2,}\b", re.IGNORECASE)


@dataclass(frozen=True)
class LoraFile:
    """A LoRA file. `family` is the model family that its shapes fit, empty if no tensor determines it;
    `ranks` are those of its down tensors.
    """

    file: str
    style: str
    family: Family
    width: int
    ranks: frozenset[int]
    tensors: int
    metadata: dict[str, str] = field(repr=False)

    @property
    def licence(self) -> str:
        """The licence in the metadata; empty if there is none."""
        return next(
            (self.metadata[key].strip()[:200] for key in _LICENCES if self.metadata.get(key, "").strip()), ""
        )


def read_lora(root: Path, file: str) -> LoraFile:
    """Reads the header, and `adapter_config.json` beside it. Raises WeightsError and OSError."""
    header = read_safetensors_header(root / file)
    metadata = {**_adapter_config((root / file).parent), **header.metadata}
    width = _width(header)
    return LoraFile(
        file=file,
        style=_style(header),
        family=WIDTHS.get(width, f"text {width} wide" if width else ""),
        width=width,
        ranks=frozenset(_ranks(header)),
        tensors=len(header.tensors),
        metadata=metadata,
    )


def is_lora_file(path: Path) -> bool:
    """Whether a file is safetensors by its bytes, whatever its name, with the tensor names of adapters.
    An unreadable file is not a LoRA file: the rules for weights report it.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(9)
        return head[8:9] == b"{" and is_lora(read_safetensors_header(path))
    except (OSError, WeightsError):
        return False


def is_lora(header: SafetensorsHeader) -> bool:
    """Whether the tensor names are those of low-rank adapters: LoRA in any style, and LyCORIS."""
    return any(_ADAPTER.search(name) for name in header.tensors)


def check_base(lora: LoraFile, declared: str) -> list[Finding]:
    """`wrong-base` if the shapes fit another family than the declared base."""
    wanted = family_of(declared)
    if not lora.family:
        message = "no tensor shows which base model it is for"
        return [Finding(lora.file, 0, "base-unknown", message, NOTED)]
    if not wanted:
        return [Finding(lora.file, 0, "base-unknown", f'"{declared}" is not a known base model', SUSPICIOUS)]
    if lora.family != wanted:
        message = (
            f"its shapes are for {_shown(lora.family)} ({_text(lora.width)}), the manifest says {declared}"
        )
        return [Finding(lora.file, 0, "wrong-base", message)]
    return []


def check_metadata(lora: LoraFile, root: Path) -> list[Finding]:
    """`lying-metadata` if the file's metadata names another base than its shapes, or has a hash of other
    tensors.
    """
    findings = []
    for key in (*_CERTAIN, *_LIKELY):
        said = lora.metadata.get(key, "")
        claimed = _claimed(key, said)
        if claimed and lora.family and claimed != lora.family:
            shapes = f"its shapes are for {_shown(lora.family)} ({_text(lora.width)})"
            message = f'{key} says "{said[:60]}", but {shapes}'
            findings.append(Finding(lora.file, 0, "lying-metadata", message, _band(key)))
    return findings + _hash_findings(lora, root) + _rank_findings(lora)


def check_privacy(lora: LoraFile) -> list[Finding]:
    """`captions`, `local-path` and `mail`: private data of the trainer in the metadata."""
    findings = []
    for key in _CAPTIONS:
        if lora.metadata.get(key, "").strip() not in ("", "{}", "null", "None", "[]"):
            message = f"{key} holds the captions or folder names of the training data"
            findings.append(Finding(lora.file, 0, "captions", message))
    for key, value in lora.metadata.items():
        if key in _CAPTIONS:
            continue
        for rule, pattern in (("local-path", _LOCAL_PATH), ("mail", _MAIL)):
            match = pattern.search(value[:100_000])
            if match:
                what = "a path" if rule == "local-path" else "a mail address"
                message = f"{key[:40]} holds {what}: {match.group()[:60]}"
                findings.append(Finding(lora.file, 0, rule, message))
    return findings


def family_of(base: str) -> Family:
    """The family of a base model's name as the manifest has it; empty if it is unknown."""
    if base in FAMILIES:
        return FAMILIES[base]
    return next((family for family, pattern in _SPOKEN if pattern.search(base)), "")


def _band(key: str) -> Band:
    return CERTAIN if key in _CERTAIN else SUSPICIOUS


def _claimed(key: str, said: str) -> Family:
    if key == "ss_v2":
        return "v2" if said.strip().lower() == "true" else ""
    return family_of(said) if said else ""


def _hash_findings(lora: LoraFile, root: Path) -> list[Finding]:
    """Both are the SHA-256 of the bytes after the header (ModelSpec 1.0.1; kohya-ss/sd-scripts)."""
    claims = {
        key: lora.metadata[key].lower().removeprefix("0x")
        for key in ("modelspec.hash_sha256", "sshs_model_hash")
        if re.fullmatch(r"(?:0x)?[0-9a-f]{64}", lora.metadata.get(key, "").lower())
    }
    if not claims:
        return []
    digest = hashlib.sha256()
    with (root / lora.file).open("rb") as stream:
        stream.seek(8 + int.from_bytes(stream.read(8), "little"))
        while block := stream.read(1 << 20):
            digest.update(block)
    return [
        Finding(lora.file, 0, "lying-metadata", f"{key} is the hash of other tensors than those in the file")
        for key, claim in claims.items()
        if claim != digest.hexdigest()
    ]


def _rank_findings(lora: LoraFile) -> list[Finding]:
    said = lora.metadata.get("ss_network_dim", "")
    if not said.isdecimal() or not lora.ranks or int(said[:9]) in lora.ranks:
        return []
    ranks = ", ".join(map(str, sorted(lora.ranks)[:4]))
    return [
        Finding(
            lora.file,
            0,
            "lying-metadata",
            f"ss_network_dim says rank {said[:9]}, its tensors have {ranks}",
            SUSPICIOUS,
        )
    ]


def _style(header: SafetensorsHeader) -> str:
    for style, pattern in _STYLES:
        if any(pattern.search(name) for name in header.tensors):
            return style
    return "unknown"


def _width(header: SafetensorsHeader) -> int:
    """The width of the text input; 0 if no tensor determines it."""
    for pattern in (_TEXT_INPUT, _ENCODER_INPUT):
        widths = {
            shape[1]
            for name, (_, shape) in header.tensors.items()
            if len(shape) >= 2 and pattern.search(name)
        }
        if widths:
            return max(widths)
    return 0


def _ranks(header: SafetensorsHeader) -> set[int]:
    down = re.compile(rf"{_DOWN}|\bdown\b")
    return {shape[0] for name, (_, shape) in header.tensors.items() if len(shape) >= 2 and down.search(name)}


def _adapter_config(folder: Path) -> dict[str, str]:
    """The text values that PEFT writes beside `adapter_model.safetensors`."""
    return {
        key: value
        for key, value in json_table(folder / "adapter_config.json").items()
        if isinstance(value, str)
    }


def json_table(path: Path) -> dict[str, Any]:
    """A small JSON object from a file; empty for any other file."""
    try:
        if not path.is_file() or path.stat().st_size > MAX_SIDECAR:
            return {}
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _shown(family: Family) -> str:
    return {"v1": "v1.4 and v1.5", "v2": "v2.0", "sdxl": "SDXL"}.get(family, family)


def _text(width: int) -> str:
    return f"text {width} wide"
