"""What a plugin is created with: checked as a whole, every mistake told at once."""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import ConfigError, did_you_mean
from .marking.payload import DEFAULT_PAYLOAD, payload_mistake
from .samplers import DEFAULT_SAMPLER, sampler_mistakes

MODEL_TYPES = ("v1.4", "v1.5", "v2.0")
DEVICES = ("auto", "cpu", "cuda")
DEFAULT_MEMORY_LIMIT = "4GB"
UNMAINTAINED = (
    "Model v1.4 is no longer maintained. Move to v1.5; LoRAs and plugins made for v1.5 may not fit v1.4."
)

_UNITS = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", re.IGNORECASE)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class ModelSource:
    """A folder of weights in the diffusers layout, and the digest it must have (see
    `models.folder.folder_digest`).
    """

    path: Path
    sha256: str | None = None


@dataclass(frozen=True)
class SamplerConfig:
    """An algorithm's name and its own parameters, as `reference_engine.samplers.SAMPLERS` lists them."""

    algorithm: str = DEFAULT_SAMPLER
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PluginConfig:
    """A checked configuration; `memory_limit` is in bytes.

    Where `model` is None the engine uses its own tiny model of that type, which has the real one's shapes and
    vocabulary but random weights.
    """

    model_type: str = "v1.5"
    sampler: SamplerConfig = SamplerConfig()
    memory_limit: int = 4 * 2**30
    model: ModelSource | None = None
    device: str = "auto"
    medvram: bool = False
    sensitive_words: tuple[str, ...] = ()
    watermark_payload: str = DEFAULT_PAYLOAD
    threads: int = 1

    @classmethod
    def parse(cls, config: PluginConfig | Mapping[str, Any] | str | bytes | None = None) -> PluginConfig:
        """From a JSON object, its text, or nothing at all. Raises ConfigError with every mistake found."""
        if isinstance(config, PluginConfig):
            return config
        parsed = _from_table(_as_table(config))
        if parsed.model_type == "v1.4":
            # FutureWarning, since Python hides DeprecationWarning from the people this one is for.
            warnings.warn(UNMAINTAINED, FutureWarning, stacklevel=3)
        return parsed

    @property
    def warnings(self) -> tuple[str, ...]:
        """What every image made with this configuration should say."""
        return (UNMAINTAINED,) if self.model_type == "v1.4" else ()


def parse_size(value: object) -> int:
    """Bytes of "4GB", "3 GiB", "512MB", "1.5G" or a plain integer; a unit is a power of 1024. Raises
    ValueError.
    """
    number = value if isinstance(value, int) and not isinstance(value, bool) else None
    if isinstance(value, str) and (match := _SIZE.fullmatch(value)):
        number = int(float(match[1]) * _UNITS[f"{match[2].upper()}B"])
    if number is None:
        raise ValueError(f'must be a size such as "4GB", "512MB" or a number of bytes, not {value!r}.')
    if number <= 0:
        raise ValueError(f"must be more than nothing, not {value!r}.")
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
        except _Mistakes as found:
            mistakes.extend(found.sentences)
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
            raise ValueError(f"{value!r} is not known; there are {', '.join(known)}.{hint}")
        return name, value

    return read


def _read_sampler(value: object) -> tuple[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f'must be a table such as {{"algorithm": "DDIM"}}, not {value!r}.')
    if mistakes := sampler_mistakes(value):
        raise _Mistakes(mistakes)
    parameters = {key: item for key, item in value.items() if key != "algorithm"}
    return "sampler", SamplerConfig(value.get("algorithm", DEFAULT_SAMPLER), parameters)


def _read_model(value: object) -> tuple[str, Any]:
    if isinstance(value, (str, os.PathLike)):
        value = {"path": value}
    if not isinstance(value, Mapping):
        raise ValueError(f'must be a table such as {{"path": "/models/v1-5"}}, not {value!r}.')
    mistakes = [
        f"model.{key}: unknown key.{did_you_mean(str(key), ('path', 'sha256'))}"
        for key in value
        if key not in ("path", "sha256")
    ]
    path, sha256 = value.get("path"), value.get("sha256")
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        mistakes.append(f"model.path: must be a folder, not {path!r}.")
    if sha256 is not None and not (isinstance(sha256, str) and _SHA256.fullmatch(sha256)):
        mistakes.append(f"model.sha256: must be 64 hexadecimal digits, not {sha256!r}.")
    if mistakes:
        raise _Mistakes(mistakes)
    return "model", ModelSource(Path(os.fspath(path)).expanduser(), sha256.lower() if sha256 else None)  # type: ignore[arg-type]


def _read_medvram(value: object) -> tuple[str, Any]:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {value!r}.")
    return "medvram", value


def _read_words(value: object) -> tuple[str, Any]:
    words = list(value) if isinstance(value, (list, tuple)) else None
    if words is None or not all(isinstance(word, str) and word.strip() for word in words):
        raise ValueError(f"must be a list of words, none of them empty, not {value!r}.")
    return "sensitive_words", tuple(words)


def _read_payload(value: object) -> tuple[str, Any]:
    if not isinstance(value, str):
        raise ValueError(f"must be text of hexadecimal digits, not {value!r}.")
    if problem := payload_mistake(value):
        raise ValueError(problem)
    return "watermark_payload", value.lower()


def _read_threads(value: object) -> tuple[str, Any]:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1024:
        raise ValueError(f"must be a whole number from 1 to 1024, not {value!r}.")
    return "threads", value


_READERS: Mapping[str, Callable[[object], tuple[str, Any]]] = {
    "model_type": _one_of("model_type", MODEL_TYPES),
    "sampler_config": _read_sampler,
    "memory_limit": lambda value: ("memory_limit", parse_size(value)),
    "model": _read_model,
    "device": _one_of("device", DEVICES),
    "medvram": _read_medvram,
    "sensitive_words": _read_words,
    "watermark_payload": _read_payload,
    "threads": _read_threads,
}
"""Each key of the configuration, and what reads its value: field name and checked value, or a ValueError."""
