"""CLIP's byte-pair vocabulary, shipped as data and written in the layout that transformers reads."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

VOCABULARY_SIZE = 49408
MODEL_MAX_LENGTH = 77
BOS, EOS = "<|startoftext|>", "<|endoftext|>"

_MERGES = VOCABULARY_SIZE - 2 * 256 - 2


def write_tokenizer(folder: Path, pad_token: str = EOS) -> None:
    """Writes vocab.json, merges.txt and the two configs of CLIP's tokenizer into `folder`.

    `pad_token` is the end mark for v1.4 and v1.5, "!" for v2.0.
    """
    merges = _merges()
    vocabulary = {token: number for number, token in enumerate(_tokens(merges))}
    settings = {
        "add_prefix_space": False,
        "bos_token": BOS,
        "do_lower_case": True,
        "eos_token": EOS,
        "errors": "replace",
        "model_max_length": MODEL_MAX_LENGTH,
        "pad_token": pad_token,
        "tokenizer_class": "CLIPTokenizer",
        "unk_token": EOS,
    }
    special = {key: settings[key] for key in ("bos_token", "eos_token", "pad_token", "unk_token")}
    folder.mkdir(parents=True)
    _write(folder / "vocab.json", json.dumps(vocabulary, ensure_ascii=False))
    _write(folder / "merges.txt", "\n".join(["#version: 0.2", *merges, ""]))
    _write(folder / "tokenizer_config.json", json.dumps(settings, indent=2))
    _write(folder / "special_tokens_map.json", json.dumps(special, indent=2))


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a model folder. Raises ValueError if it has no real vocabulary.

    The check is needed because transformers 5 silently makes an empty vocabulary from some files.
    """
    from transformers import CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
    if len(tokenizer) < 1000 or tokenizer.bos_token_id is None or tokenizer.eos_token_id is None:
        raise ValueError(
            f"its tokenizer has only {len(tokenizer)} entries; vocab.json and merges.txt belong there"
        )
    return tokenizer


def split_at_limit(text: str, offsets: Sequence[tuple[int, int]], limit: int) -> tuple[str, str]:
    """The part of `text` that the first `limit` tokens cover, and the rest. It never cuts a visible
    character.

    `offsets` are the tokens' positions in `text`. A character of which only some tokens fit is lost, so an
    emoji of several code points is never split.
    """
    if len(offsets) <= limit:
        return text, ""
    import regex  # comes with transformers; the standard library cannot find graphemes

    last_whole = 0
    cut = offsets[limit][0]
    for character in regex.finditer(r"\X", text):
        if character.end() > cut:
            break
        last_whole = character.end()
    return text[:last_whole], text[last_whole:]


def _merges() -> list[str]:
    data = resources.files(__package__).joinpath("data", "bpe_simple_vocab_16e6.txt.gz").read_bytes()
    lines = gzip.decompress(data).decode("utf-8").split("\n")
    return lines[1 : _MERGES + 1]


def _tokens(merges: Sequence[str]) -> list[str]:
    bytes_ = _byte_symbols()
    whole_words = [symbol + "</w>" for symbol in bytes_]
    return [*bytes_, *whole_words, *("".join(merge.split()) for merge in merges), BOS, EOS]


def _byte_symbols() -> list[str]:
    """A printable character for each of the 256 bytes: itself where it is printable, else one past 255."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + place) for place in range(len(rest))]


def _write(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8"))
