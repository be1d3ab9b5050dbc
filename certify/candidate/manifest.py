"""The format of plugin.toml. Only the form is checked here; the requirements check whether it is true.

The models below define the format; `python -m certify.candidate.manifest` writes its published JSON Schema.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Annotated, Literal, get_args

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    JsonValue,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import PydanticKnownError, core_schema

from certify.candidate.manifest_errors import Mistake, mistakes_of
from certify.candidate.manifest_samplers import Sampler, named_once
from certify.candidate.manifest_types import UNIQUE, Entry, Filled, Table, each_once, wrong
from certify.candidate.toml_lines import NotToml, parse
from certify.errors import UserError

SCHEMA_FILE = Path(__file__).with_name("plugin.schema.json")

ModelType = Literal["v1.4", "v1.5", "v2.0"]
BASES: tuple[str, ...] = get_args(ModelType)
System = Literal["linux", "windows", "macos"]
InvisibleMark = Literal["lumaQim", "dwtDctSvd", "dwtDct", "none"]
RevenueTier = Literal["up-to-50k", "above-50k"]

_DRIVE = re.compile(r"[A-Za-z]:")


def _version(text: str) -> str:
    try:
        Version(text)
    except InvalidVersion:
        raise wrong(f"{json.dumps(text)} is not a version") from None
    return text


def _specifiers(text: str) -> str:
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        raise wrong(f"{json.dumps(text)} is not a set of version specifiers") from None
    return text


def _inside(path: str) -> str:
    parts = path.split("/")
    if "\\" in path:
        raise wrong(f"{json.dumps(path)} has a backslash; use forward slashes")
    if path.startswith("/") or _DRIVE.match(path):
        raise wrong(f"{json.dumps(path)} is an absolute path; it must be relative to the plugin")
    if ".." in parts:
        raise wrong(f"{json.dumps(path)} is outside the plugin")
    if any(part in ("", ".") for part in parts) or not path.isprintable():
        raise wrong(f"{json.dumps(path)} is not a plain relative path")
    return path


def _finite(value: JsonValue) -> JsonValue:
    """JSON has no NaN and no infinity; TOML has."""
    if isinstance(value, float) and not math.isfinite(value):
        raise wrong("the number is not finite and cannot be passed to the SDK")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _finite(inner)
    return value


_RelativePath = Annotated[StrictStr, AfterValidator(_inside)]
_Version = Annotated[StrictStr, AfterValidator(_version)]
_Specifiers = Annotated[StrictStr, AfterValidator(_specifiers)]
_Name = Annotated[StrictStr, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,63}$")]
_Language = Annotated[StrictStr, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
_Url = Annotated[StrictStr, Field(pattern=r"^https?://[^\s/]+\S*$")]
_Host = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$")]
_Sha256 = Annotated[StrictStr, Field(pattern=r"^[0-9a-fA-F]{64}$"), AfterValidator(str.lower)]
_Payload = Annotated[StrictStr, Field(pattern=r"^([0-9a-fA-F]{2}){4,32}$"), AfterValidator(str.lower)]
_Key = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{7,127}$")]


class Plugin(Table):
    """What the plugin is."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["entry"]},
                {"properties": {"kind": {"const": "diffusers-pipeline"}}, "required": ["kind"]},
            ]
        }
    )

    name: _Name = Field(
        description="The plugin's name: 2 to 64 small letters, digits and hyphens, the first no hyphen."
    )
    version: _Version = Field(description='The plugin\'s version as of PEP 440, for instance "1.0.0".')
    sdk: _Specifiers = Field(description='The SDK versions that it works with, for instance ">=1.0,<2".')
    kind: Literal["native", "diffusers-pipeline"] = Field(
        default="native",
        description="native: made for the SDK; diffusers-pipeline: a pipeline taken as it is.",
    )
    entry: Entry | None = Field(
        default=None,
        validate_default=True,
        description='What to import, as "module:name": the factory of a native plugin (which must have one), '
        "the class of a pipeline.",
    )
    description: StrictStr = Field(default="", description="One or two sentences about the plugin.")
    model_types: Annotated[tuple[ModelType, ...], AfterValidator(each_once)] = Field(
        min_length=1, json_schema_extra=UNIQUE, description="The base models that it works with."
    )
    languages: Annotated[tuple[_Language, ...], AfterValidator(each_once)] = Field(
        default=(),
        json_schema_extra=UNIQUE,
        description='The languages of prompts that it claims, as BCP 47 tags: "en", "zh", "pt-BR".',
    )
    generates_faces: StrictBool = Field(description="Whether its images may show faces: true or false.")
    cache_entries: StrictInt = Field(
        default=0,
        ge=0,
        description="The most entries it caches on purpose; up to here growing memory is no leak.",
    )

    @field_validator("entry", mode="after")
    @classmethod
    def _native_has_an_entry(cls, entry: str | None, info: ValidationInfo) -> str | None:
        if entry is None and info.data.get("kind") == "native":
            raise PydanticKnownError("missing")
        return entry


class Platforms(Table):
    """Where the plugin runs."""

    os: Annotated[tuple[System, ...], AfterValidator(each_once)] = Field(
        min_length=1, json_schema_extra=UNIQUE, description="The operating systems that it supports."
    )
    python: _Specifiers = Field(description='The Python versions that it supports, for instance ">=3.10".')


class Licence(Table):
    """The licence of the plugin's code, and the base model's terms."""

    expression: Filled = Field(description='The SPDX expression of the code\'s licence, for instance "MIT".')
    files: tuple[_RelativePath, ...] = Field(
        min_length=1, description="The files with the licence's text, relative to the plugin."
    )
    model_terms: _RelativePath | None = Field(
        default=None,
        description="The file with the base model's licence, whose terms are passed on to users.",
    )
    notice: _RelativePath | None = Field(
        default=None,
        description="The file that names the base model and what was changed; NOTICE or README if left out.",
    )
    terms: _RelativePath | None = Field(
        default=None,
        description="The file with the plugin's own terms, which bind users to the use restrictions; README, "
        "NOTICE, TERMS or EULA if left out.",
    )


class _Weights(Table):
    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["file"]}, {"required": ["url"]}]},
    )

    name: Filled = Field(description="A name for these weights.")
    file: _RelativePath | None = Field(default=None, description="The file in the plugin; or give a url.")
    url: _Url | None = Field(
        default=None,
        validate_default=True,
        description="The http(s) address it is fetched from; or give a file.",
    )
    source: Filled = Field(description="Where the weights come from: an address, or who made them.")
    sha256: _Sha256 = Field(description="The SHA-256 of the file: 64 hexadecimal digits.")
    licence: Filled = Field(description="The weights' own licence: an SPDX expression or LicenseRef-*.")

    @field_validator("url", mode="after")
    @classmethod
    def _file_xor_url(cls, url: str | None, info: ValidationInfo) -> str | None:
        if "file" in info.data and (url is None) == (info.data["file"] is None):
            raise wrong("neither a file nor a url is given" if url is None else "a file and a url are given")
        return url


class Model(_Weights):
    """Further weights that the plugin uses, besides the base model."""

    licence_file: _RelativePath | None = Field(default=None, description="The file with that licence's text.")
    base: Filled | None = Field(
        default=None, description='The base model it is made for, for instance "v1.5".'
    )


class Lora(_Weights):
    """A LoRA that the plugin uses."""

    licence_file: _RelativePath = Field(description="The file with that licence's text.")
    base: Filled = Field(description='The base model it is made for, for instance "v1.5".')
    commercial: StrictBool = Field(description="Whether its licence allows commercial use: true or false.")


class Native(Table):
    """A file of machine code that the plugin ships: a library, a program, a WebAssembly module."""

    file: _RelativePath = Field(description="The file in the plugin.")
    sha256: _Sha256 = Field(description="The SHA-256 of the file: 64 hexadecimal digits.")
    source: Filled = Field(description="Where its source is, and how it is built from it.")


class Commercial(Table):
    """How the plugin is sold."""

    paid: StrictBool = Field(description="Whether users pay for it: true or false.")
    revenue_tier: RevenueTier = Field(description="The author's revenue in US dollars a year.")
    agreement: _RelativePath | None = Field(
        default=None,
        description="The file with the commercial licence; it or a key is needed above 50,000 US dollars.",
    )
    licence_key: _Key | None = Field(
        default=None, description="The number or key of the commercial licence, where there is no file."
    )
    face_terms: _RelativePath | None = Field(
        default=None, description="The file with the extra terms for plugins that generate faces."
    )


class Marks(Table):
    """The AI-generated marks that the plugin says it writes."""

    invisible: InvisibleMark = Field(default="none", description="The method of the invisible watermark.")
    payload: _Payload | None = Field(
        default=None,
        description="The watermark's payload as 8 to 64 hexadecimal digits; left out, it is the SDK's own.",
    )
    metadata: Annotated[tuple[Literal["iptc", "aigc", "c2pa"], ...], AfterValidator(each_once)] = Field(
        default=(),
        json_schema_extra=UNIQUE,
        description="The metadata it writes; iptc: DigitalSourceType in XMP; aigc: the label of "
        "GB 45438; c2pa: content credentials.",
    )


class Network(Table):
    """What the plugin reaches on the network when it runs."""

    hosts: Annotated[tuple[_Host, ...], AfterValidator(each_once)] = Field(
        default=(),
        json_schema_extra=UNIQUE,
        description='Host names without scheme or path: "cdn.example.org".',
    )


class Manifest(Table):
    """The manifest of a Stable Diffusion plugin (plugin.toml, or [tool.certify.plugin] in pyproject.toml)."""

    schema_: Annotated[StrictInt, Field(ge=1, le=1)] = Field(
        alias="schema", description="The version of this format: 1."
    )
    plugin: Plugin = Field(description="What the plugin is.")
    config: Annotated[dict[StrictStr, JsonValue], AfterValidator(_finite)] = Field(
        default_factory=dict, description="The configuration that the SDK creates it with by default."
    )
    platforms: Platforms = Field(description="Where the plugin runs.")
    licence: Licence = Field(description="The licence of its code, and the base model's terms.")
    models: tuple[Model, ...] = Field(default=(), description="Further weights, besides the base model.")
    loras: tuple[Lora, ...] = Field(default=(), description="The LoRAs that it uses.")
    samplers: Annotated[tuple[Sampler, ...], AfterValidator(named_once)] = Field(
        default=(), description="The samplers of its own that it offers."
    )
    native: tuple[Native, ...] = Field(default=(), description="The files of machine code that it ships.")
    commercial: Commercial = Field(description="How it is sold.")
    marks: Marks = Field(default_factory=Marks, description="The AI-generated marks that it writes.")
    network: Network = Field(default_factory=Network, description="What it reaches on the network.")


class ManifestErrors(UserError):
    """All mistakes in a manifest; the message lists them, one per line."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = mistakes


def parse_manifest(text: str, file: str, table: tuple[str, ...] = ()) -> Manifest:
    """The manifest in a TOML text, or in its `table` (pyproject.toml); `file` is the name in the mistakes.

    Raises ManifestErrors with all mistakes at once.
    """
    try:
        content, lines = parse(text)
    except NotToml as error:
        hint = "https://toml.io describes the format."
        raise ManifestErrors(
            (Mistake(file, error.line, "", f"not valid TOML: {error.message}", hint),)
        ) from None
    for depth, name in enumerate(table):
        content = content.get(name, {}) if isinstance(content, dict) else {}
        if not isinstance(content, dict) or not content:
            message = f"the table [{'.'.join(table)}] is missing or empty"
            raise ManifestErrors((Mistake(file, lines.of(table[: depth + 1]), "", message),))
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        raise ManifestErrors(mistakes_of(error, Manifest, file, lines, table)) from None


class _TomlSchema(GenerateJsonSchema):
    """TOML has no null: what may be left out is left out."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        written = super().default_schema(schema)
        if written.get("default", ...) is None:
            del written["default"]
        return written


def schema_text() -> str:
    """The JSON Schema (2020-12) of the manifest, as it is published."""
    schema = Manifest.model_json_schema(schema_generator=_TomlSchema)
    return json.dumps({"$schema": _TomlSchema.schema_dialect, **schema}, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
    print(f"wrote {SCHEMA_FILE}")
