"""A plugin's configuration. It is checked as a whole, and all mistakes are reported at once."""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .accel import ACCELERATIONS, MAX_STREAMS
from .errors import ConfigError, did_you_mean
from .guidance import UNMAINTAINED, model_warnings
from .marking.payload import DEFAULT_PAYLOAD, payload_mistake
from .marking.policy import MarkingPolicy, policy_mistakes
from .models.download_http import url_mistake
from .models.remote import remote_folder
from .samplers import DEFAULT_SAMPLER, canonical, sampler_mistakes
from .words import SENSITIVE_WORDS, read_word_list

MODEL_TYPES = ("v1.4", "v1.5", "v2.0")
DEVICES = ("auto", "cpu", "cuda")
TILING = ("auto", "always", "never")
DEFAULT_MEMORY_LIMIT = "4GB"

_UNITS = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", re.IGNORECASE)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class ModelSource:
    """A model folder in the diffusers layout, and the digest it must have (see
    `models.folder.folder_digest`).

    With a `url` (see `models.remote`) the folder is in the cache once the model is loaded.
    `bandwidth_limit` is in bytes per second.
    """

    path: Path
    sha256: str | None = None
    url: str | None = None
    bandwidth_limit: int | None = None


@dataclass(frozen=True)
class SamplerConfig:
    """An algorithm's canonical name and its parameters (see `reference_engine.samplers.SAMPLERS`)."""

    algorithm: str = DEFAULT_SAMPLER
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PluginConfig:
    """A checked configuration; `memory_limit` is in bytes.

    If `model` is None the engine uses its own tiny model of that type, with the vocabulary of the real model
    and random weights.
    """

    model_type: str = "v1.5"
    sampler: SamplerConfig = SamplerConfig()
    memory_limit: int = 4 * 2**30
    model: ModelSource | None = None
    device: str = "auto"
    medvram: bool = False
    tiling: str = "auto"
    acceleration: str = "none"
    streams: int = 1
    word_list: tuple[str, ...] = SENSITIVE_WORDS
    sensitive_words: tuple[str, ...] = ()
    watermark_payload: str = DEFAULT_PAYLOAD
    marking: MarkingPolicy = field(default_factory=MarkingPolicy)
    threads: int = 1
    persistent_workers: bool = True

    @classmethod
    def parse(cls, config: PluginConfig | Mapping[str, Any] | str | bytes | None = None) -> PluginConfig:
        """From a JSON object, its text, or nothing. Raises ConfigError with every mistake."""
        if isinstance(config, PluginConfig):
            return config
        parsed = _from_table(_as_table(config))
        if parsed.model_type == "v1.4":
            # FutureWarning, because Python hides DeprecationWarning from end users.
            warnings.warn(UNMAINTAINED, FutureWarning, stacklevel=3)
        return parsed

    @property
    def large(self) -> bool:
        """Whether images over 1024 x 1024 pixels are possible: in tiles, or with TensorRT."""
        return self.tiling != "never" or self.acceleration == "tensorrt"

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings that every result of this configuration carries."""
        return model_warnings(self.model_type)


def parse_size(value: object) -> int:
    """Bytes of "4GB", "3 GiB", "512MB", "1.5G" or a plain integer. Units are powers of 1024. Raises
    ValueError.
    """
    number = value if isinstance(value, int) and not isinstance(value, bool) else None
    if isinstance(value, str) and (match := _SIZE.fullmatch(value)):
        number = int(float(match[1]) * _UNITS[f"{match[2].upper()}B"])
    if number is None:
        raise ValueError(f'must be a size such as "4GB", "512MB" or a number of bytes, not {value!r}.')
    if number <= 0:
        raise ValueError(f"must be above 0, not {value!r}.")
    return number


def _as_table(config: Mapping[str, Any] | str | bytes | None) -> Mapping[str, Any]:
    if config is None:
        return {}
    if isinstance(config, (str, bytes)):
        try:
            config = json.loads(config)
        except (ValueError, RecursionError) as error:
            raise ConfigError(
                f"The configuration is not JSON: {error}.",
                (),
                ['Write it like {"model_type": "v1.5", "sampler_config": {"algorithm": "DDIM"}}.'],
            ) from None
    if not isinstance(config, Mapping):
        raise ConfigError(
            f"The configuration must be a JSON object, not {type(config).__name__}.",
            (),
            ['Write it like {"model_type": "v1.5"}.'],
        )
    return config


def _from_table(table: Mapping[str, Any]) -> PluginConfig:
    mistakes: list[str] = []
    fields: dict[str, Any] = {}
    for key, value in table.items():
        reader = _READERS.get(key) if isinstance(key, str) else None
        if reader is None:
            mistakes.append(f"{key}: unknown key.{did_you_mean(str(key), _READERS)}")
            continue
        try:
            name, parsed = reader(value)
        except _Mistakes as error:
            mistakes.extend(error.sentences)
        except ValueError as error:
            mistakes.append(f"{key}: {error}")
        else:
            fields[name] = parsed
    if mistakes:
        raise ConfigError("The configuration", mistakes, [f"The keys are {', '.join(_READERS)}."])
    return PluginConfig(**fields)


class _Mistakes(ValueError):
    def __init__(self, sentences: list[str]) -> None:
        super().__init__(" ".join(sentences))
        self.sentences = sentences


def _one_of(name: str, known: tuple[str, ...]) -> Callable[[object], tuple[str, Any]]:
    def read(value: object) -> tuple[str, Any]:
        if value not in known:
            hint = did_you_mean(str(value), known)
            raise ValueError(f"{value!r} is unknown; choose one of {', '.join(known)}.{hint}")
        return name, value

    return read


def _read_sampler(value: object) -> tuple[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f'must be a table such as {{"algorithm": "DDIM"}}, not {value!r}.')
    if mistakes := sampler_mistakes(value):
        raise _Mistakes(mistakes)
    parameters = {key: item for key, item in value.items() if key != "algorithm"}
    name = canonical(value.get("algorithm", DEFAULT_SAMPLER)) or DEFAULT_SAMPLER
    return "sampler", SamplerConfig(name, parameters)


def _read_model(value: object) -> tuple[str, Any]:
    if isinstance(value, (str, os.PathLike)):
        value = {"path": value}
    if not isinstance(value, Mapping):
        raise ValueError(f'must be a table such as {{"path": "/models/v1-5"}}, not {value!r}.')
    keys = ("path", "url", "sha256", "bandwidth_limit")
    mistakes = [
        f"model.{key}: unknown key.{did_you_mean(str(key), keys)}" for key in value if key not in keys
    ]
    path, url, sha256, limit = (value.get(key) for key in keys)
    if path is not None and url is not None:
        mistakes.append("model: has a path and a url; give only one of them.")
    if url is not None:
        if mistake := url_mistake(url):
            mistakes.append(f"model.url: {mistake}")
        if sha256 is None:
            mistakes.append(
                "model.sha256: is required with a url, so that no other model can be loaded from it."
            )
    elif not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        mistakes.append(f"model.path: must be a folder, not {path!r}.")
    if sha256 is not None and not (isinstance(sha256, str) and _SHA256.fullmatch(sha256)):
        mistakes.append(f"model.sha256: must be 64 hexadecimal digits, not {sha256!r}.")
    if limit is not None:
        try:
            limit = parse_size(limit)
        except ValueError as error:
            mistakes.append(f"model.bandwidth_limit: {error}")
        if url is None:
            mistakes.append("model.bandwidth_limit: applies only to a model with a url.")
    if mistakes:
        raise _Mistakes(mistakes)
    digest = sha256.lower() if isinstance(sha256, str) else None
    if isinstance(url, str) and digest is not None:
        return "model", ModelSource(remote_folder(digest), digest, url, limit)
    return "model", ModelSource(Path(os.fspath(path)).expanduser(), digest)  # type: ignore[arg-type]


def _switch(name: str) -> Callable[[object], tuple[str, Any]]:
    def read(value: object) -> tuple[str, Any]:
        if not isinstance(value, bool):
            raise ValueError(f"must be true or false, not {value!r}.")
        return name, value

    return read


def _read_words(value: object) -> tuple[str, Any]:
    words = list(value) if isinstance(value, (list, tuple)) else None
    if words is None or not all(isinstance(word, str) and word.strip() for word in words):
        raise ValueError(f"must be a list of words, none of them empty, not {value!r}.")
    return "sensitive_words", tuple(words)


def _read_word_list(value: object) -> tuple[str, Any]:
    if value == "default":
        return "word_list", SENSITIVE_WORDS
    if isinstance(value, (str, os.PathLike)) and os.fspath(value):
        try:
            return "word_list", read_word_list(Path(os.fspath(value)).expanduser())
        except OSError as error:
            raise ValueError(f"{os.fspath(value)} cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise ValueError(f"{os.fspath(value)} is not UTF-8 text; save it as UTF-8.") from None
    if not isinstance(value, (list, tuple)):
        raise ValueError(f'must be "default", a list of words or the path of a text file, not {value!r}.')
    return "word_list", _read_words(value)[1]


def _read_marking(value: object) -> tuple[str, Any]:
    if mistakes := policy_mistakes(value):
        raise _Mistakes(mistakes)
    return "marking", MarkingPolicy.read(value)


def _read_payload(value: object) -> tuple[str, Any]:
    if not isinstance(value, str):
        raise ValueError(f"must be text of hexadecimal digits, not {value!r}.")
    if problem := payload_mistake(value):
        raise ValueError(problem)
    return "watermark_payload", value.lower()


def _count(name: str, most: int) -> Callable[[object], tuple[str, Any]]:
    def read(value: object) -> tuple[str, Any]:
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise ValueError(f"must be a whole number from 1 to {most}, not {value!r}.")
        return name, value

    return read


_READERS: Mapping[str, Callable[[object], tuple[str, Any]]] = {
    "model_type": _one_of("model_type", MODEL_TYPES),
    "sampler_config": _read_sampler,
    "memory_limit": lambda value: ("memory_limit", parse_size(value)),
    "model": _read_model,
    "device": _one_of("device", DEVICES),
    "medvram": _switch("medvram"),
    "tiling": _one_of("tiling", TILING),
    "acceleration": _one_of("acceleration", ACCELERATIONS),
    "streams": _count("streams", MAX_STREAMS),
    "word_list": _read_word_list,
    "sensitive_words": _read_words,
    "watermark_payload": _read_payload,
    "marking": _read_marking,
    "threads": _count("threads", 1024),
    "persistent_workers": _switch("persistent_workers"),
}
"""From each key of the configuration to the function that reads its value. It returns the field's name and
the checked value, or raises ValueError.
"""
