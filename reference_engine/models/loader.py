"""Loads models from disk, checks them first, and loads each one once for everybody who asks."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ModelNotLoaded, SDKError
from .folder import check_folder
from .tokenizer import load_tokenizer, split_at_limit


@dataclass(frozen=True)
class LoadedModel:
    """A model's parts, in evaluation mode; shared by all who loaded it, so nobody changes them."""

    path: Path
    tokenizer: Any
    text_encoder: Any
    unet: Any
    vae: Any
    scheduler_config: Mapping[str, Any]
    _tokenizing: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def text_width(self) -> int:
        """How wide the text encoder's embeddings really are."""
        return int(self.text_encoder.config.hidden_size)

    def tokenize(self, text: str) -> tuple[list[int], str, str]:
        """The ids, from start mark to padding, and the part of `text` they cover and the part they do not."""
        limit = int(self.text_encoder.config.max_position_embeddings)
        with self._tokenizing:  # the tokenizer under it allows one user at a time
            found = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        kept, lost = split_at_limit(text, found["offset_mapping"], limit - 2)
        ids = [self.tokenizer.bos_token_id, *found["input_ids"][: limit - 2], self.tokenizer.eos_token_id]
        return ids + [self.tokenizer.pad_token_id] * (limit - len(ids)), kept, lost

    def encode(self, ids: list[int]) -> Any:
        """The text encoder's last hidden state for one prompt's ids: shape (1, tokens, text_width)."""
        import torch

        with torch.inference_mode():
            tokens = torch.tensor([ids], device=self.text_encoder.device)
            return self.text_encoder(tokens)[0]


class ModelLoader:
    """Loads model folders; thread-safe. Several askers for one folder share one load and one copy of the
    weights.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._places: dict[Any, _Place] = {}

    def load_local(
        self, path: str | Path, sha256: str | None = None, *, device: str = "cpu", half: bool = False
    ) -> LoadedModel:
        """The model in the folder `path` (diffusers layout), checked before anything is loaded.

        The weights become float32, or float16 with `half`. `sha256` is the folder's digest as `folder_digest`
        defines it. Raises ModelNotLoaded where files are missing, altered, pickles, or do not fit each other;
        nothing then stays in memory.
        """
        folder = Path(path).resolve()
        check_folder(folder, sha256)
        with self._guard:
            place = self._places.setdefault((folder, device, half), _Place())
        with place.lock:
            if place.model is None:
                place.model = _load(folder, device, half)
            return place.model

    def forget(self) -> None:
        """Lets go of every loaded model; those in use stay until their users are done."""
        with self._guard:
            self._places.clear()


@dataclass
class _Place:
    lock: threading.Lock = field(default_factory=threading.Lock)
    model: LoadedModel | None = None


def _load(folder: Path, device: str, half: bool) -> LoadedModel:
    try:
        return _load_parts(folder, device, half)
    except SDKError:
        raise
    except Exception as error:
        # Whatever a library finds wrong with a file is to the user one thing: this model cannot be loaded.
        raise ModelNotLoaded(
            f"The model in {folder} cannot be loaded: {_first_line(error)}",
            [
                "Check that all its parts come from one model.",
                "Copy or download the folder again, all of it.",
            ],
        ) from error


def _load_parts(folder: Path, device: str, half: bool) -> LoadedModel:
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel

    dtype = torch.float16 if half else torch.float32
    tokenizer = load_tokenizer(folder / "tokenizer")
    with _no_progress_bar():
        text_encoder = _whole(CLIPTextModel, folder / "text_encoder", dtype=dtype)
    unet = _whole(UNet2DConditionModel, folder / "unet", torch_dtype=dtype)
    vae = _whole(AutoencoderKL, folder / "vae", torch_dtype=dtype)
    widths = text_encoder.config.hidden_size, unet.config.cross_attention_dim
    if widths[0] != widths[1]:
        raise ValueError(f"its text encoder is {widths[0]} wide, but its UNet reads {widths[1]}.")
    for part in (text_encoder, unet, vae):
        part.requires_grad_(False).eval().to(device)
    return LoadedModel(folder, tokenizer, text_encoder, unet, vae, _scheduler_config(folder))


def _whole(kind: Any, folder: Path, **options: Any) -> Any:
    """`from_pretrained`, which fills tensors that it does not find with random numbers; here that is an
    error.
    """
    module, report = kind.from_pretrained(
        str(folder), local_files_only=True, use_safetensors=True, output_loading_info=True, **options
    )
    absent = [*report["missing_keys"], *report["mismatched_keys"], *report.get("error_msgs", ())]
    if absent:
        raise ValueError(f"its {folder.name} lacks {len(absent)} tensors, {absent[0]} among them.")
    return module


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    from transformers.utils import logging as transformers_logging

    logging: Any = transformers_logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _scheduler_config(folder: Path) -> Mapping[str, Any]:
    text = (folder / "scheduler" / "scheduler_config.json").read_text("utf-8")
    config: Mapping[str, Any] = json.loads(text)
    return config


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
