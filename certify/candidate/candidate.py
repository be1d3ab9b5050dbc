"""A candidate: an opened submission with its manifest and the traits that decide which requirements apply."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from certify.candidate.manifest import BASES, Manifest, ManifestErrors, Model, parse_manifest
from certify.candidate.manifest_errors import Mistake
from certify.candidate.toml_lines import NotToml, parse
from certify.errors import did_you_mean
from certify.instruments.packages.dependencies import read_dependencies
from certify.submission.submission import Submission, SubmissionError
from certify.terms.traits import Trait

MANIFEST = "plugin.toml"
PYPROJECT = "pyproject.toml"
PYPROJECT_TABLE = ("tool", "certify", "plugin")


_LEAST = (
    "schema = 1; [plugin] name, version, sdk, entry, model_types, generates_faces; [platforms] os, python; "
    "[licence] expression, files; [commercial] paid, revenue_tier"
)
_MANIFEST_LIMIT = 256 << 10
_WHEEL_DEPTH = 2  # as deep as package/plugin.toml and name.data/data/plugin.toml
_HEADER_LIMIT = 16 << 20
# Tensor names of LoRAs as kohya, PEFT and diffusers write them, and of the LyCORIS kinds (LoHa, LoKr).
_LORA_TENSOR = re.compile(
    r"lora_(up|down|[AB])\b|lora\.(up|down)\b|lora_linear_layer|\bhada_w[12]|\blokr_w[12]"
)


@dataclass(frozen=True)
class Candidate:
    """What a run judges. `manifest_file` is the manifest's path below `root` (posix)."""

    submission: Submission
    manifest: Manifest
    manifest_file: str
    traits: frozenset[Trait]

    @property
    def name(self) -> str:
        return self.manifest.plugin.name

    @property
    def version(self) -> str:
        return self.manifest.plugin.version

    @property
    def kind(self) -> str:
        """`native` or `diffusers-pipeline`; the form of the submission is `submission.kind`."""
        return self.manifest.plugin.kind

    @property
    def digest(self) -> str:
        return self.submission.digest

    @property
    def root(self) -> Path:
        """The staged folder, from which the entry is imported."""
        return self.submission.root

    def file(self, path: str) -> Path:
        """The path of a file that the manifest names, relative to the manifest's folder."""
        return self.root / PurePosixPath(self.manifest_file).parent / path


def read_candidate(submission: Submission) -> Candidate:
    """Reads the manifest: plugin.toml at the root, or else [tool.certify.plugin] in pyproject.toml there.

    A wheel may hold plugin.toml up to two folders deep. The requirements judge whether the files that
    the manifest names exist. Raises SubmissionError without a manifest, ManifestErrors for its mistakes.
    """
    file, table = _find(submission)
    manifest = parse_manifest(_read(submission, file), file, table)
    return Candidate(submission, manifest, file, _traits(submission, manifest))


def _find(submission: Submission) -> tuple[str, tuple[str, ...]]:
    """The manifest's file, and the table in it."""
    paths = [file.path for file in submission.files]
    if submission.kind == "wheel":
        path = _shallowest(paths)
        if path:
            return path, ()
    elif MANIFEST in paths:
        return MANIFEST, ()
    if PYPROJECT in paths and _may_hold_table(_read(submission, PYPROJECT)):
        return PYPROJECT, PYPROJECT_TABLE
    raise SubmissionError(
        f"{submission.source} has neither {MANIFEST} nor, in {PYPROJECT}, [{'.'.join(PYPROJECT_TABLE)}]",
        _remedy(paths),
    )


def _remedy(paths: list[str]) -> str:
    """What to do where there is no manifest."""
    for path in paths:
        if PurePosixPath(path).name == MANIFEST:
            return f"{path!r} is a manifest: submit the folder that contains it."
        if "/" not in path and path != PYPROJECT and did_you_mean(path, [MANIFEST]):
            return f"Rename {path!r} to {MANIFEST}."
    return (
        f"Write a {MANIFEST} with at least: {_LEAST}.\n"
        "  Start from examples/inkwash in the repository; docs/plugin.md explains every key."
    )


def _shallowest(paths: list[str]) -> str:
    manifests = [path for path in paths if PurePosixPath(path).name == MANIFEST]
    for depth in range(_WHEEL_DEPTH + 1):
        level = [path for path in manifests if path.count("/") == depth]
        if len(level) > 1:
            raise SubmissionError(
                f"the wheel contains more than one {MANIFEST}: {', '.join(level[:5])}",
                "Keep only the plugin's.",
            )
        if level:
            return level[0]
    return ""


def _read(submission: Submission, file: str) -> str:
    place = submission.root / file
    if place.stat().st_size > _MANIFEST_LIMIT:
        message = f"larger than {_MANIFEST_LIMIT >> 10} KiB"
        raise ManifestErrors(
            (Mistake(file, 1, "", message, "A manifest describes the plugin; move data to other files."),)
        )
    content = place.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ManifestErrors((Mistake(file, line, "", "not UTF-8", "Save the file as UTF-8."),)) from None


def _may_hold_table(text: str) -> bool:
    """Whether a pyproject.toml has the table; true for invalid TOML, so that the error is reported."""
    try:
        content: object = parse(text)[0]
    except NotToml:
        return True
    for name in PYPROJECT_TABLE:
        content = content.get(name) if isinstance(content, dict) else None
    return content is not None


def _traits(submission: Submission, manifest: Manifest) -> frozenset[Trait]:
    plugin, commercial, marks = manifest.plugin, manifest.commercial, manifest.marks
    samplers = manifest.samplers
    above = commercial.revenue_tier == "above-50k"
    loras = [file for file in _safetensors(submission) if _is_lora(file)]
    dependencies = read_dependencies(submission.root, [file.path for file in submission.files])
    traits: dict[Trait, bool] = {
        plugin.kind: True,
        "uses-lora": bool(manifest.loras or loras),
        "generates-faces": plugin.generates_faces,
        "commercial": commercial.paid or above,
        "above-50k": above,
        "has-samplers": bool(samplers),
        "has-a-sampler-by-name": any(row.algorithm for row in samplers),
        "has-a-deterministic-sampler": any(not row.draws_noise for row in samplers),
        "has-a-stochastic-sampler": any(row.draws_noise for row in samplers),
        "has-a-sampler-of-several-predictions": any(len(row.prediction_types) > 1 for row in samplers),
        "declares-marks": marks.invisible != "none" or bool(marks.metadata),
        "ships-derivatives": bool(loras) or any(_is_derivative(row) for row in manifest.models),
        "has-dependencies": bool(dependencies.declared or dependencies.findings),
        "marks-by-sdk": marks.invisible == "lumaQim" and marks.payload is None,
    }
    return frozenset(trait for trait, applies in traits.items() if applies)


def _is_derivative(model: Model) -> bool:
    """Whether weights in the package are derived from a base model."""
    return bool(model.file) and model.base in BASES


def _safetensors(submission: Submission) -> list[Path]:
    return [
        submission.root / file.path for file in submission.files if file.path.lower().endswith(".safetensors")
    ]


def _is_lora(file: Path) -> bool:
    """Whether the names of a file's tensors are those of a LoRA; a file that cannot be read is none.

    The safetensors format: 8 bytes length (little endian), then JSON whose keys are the tensors' names.
    """
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > _HEADER_LIMIT:
            return False
        header = stream.read(length)
    try:
        tensors = json.loads(header)
    except (ValueError, RecursionError):
        return False
    return isinstance(tensors, dict) and any(_LORA_TENSOR.search(name) for name in tensors)
