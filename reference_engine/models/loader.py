"""Checks and loads models from disk and from the network. All users of a model share one copy."""

from __future__ import annotations

import gc
import json
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ModelNotLoaded, SDKError
from .download import ByteProgress, HTTPDownloader
from .folder import check_folder
from .hash_store import Identity
from .hashes import fingerprint
from .lease import Lease, Leases
from .remote import fetch_model
from .tokenizer import load_tokenizer, split_at_limit

__all__ = ["LoadedModel", "ModelLoader"]


@dataclass(frozen=True)
class LoadedModel:
    """A model's parts, in evaluation mode. All users share them, so they must not be changed."""

    path: Path
    tokenizer: Any
    text_encoder: Any
    unet: Any
    vae: Any
    scheduler_config: Mapping[str, Any]
    _tokenizing: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def text_width(self) -> int:
        """The actual width of the text encoder's embeddings."""
        return int(self.text_encoder.config.hidden_size)

    def tokenize(self, text: str) -> tuple[list[int], str, str]:
        """The ids, from start mark to padding; the part of `text` that they cover; the part that is cut."""
        limit = int(self.text_encoder.config.max_position_embeddings)
        with self._tokenizing:  # the underlying tokenizer allows one user at a time
            encoding = self.tokenizer(
                text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
            )
        kept, lost = split_at_limit(text, encoding["offset_mapping"], limit - 2)
        ids = [self.tokenizer.bos_token_id, *encoding["input_ids"][: limit - 2], self.tokenizer.eos_token_id]
        return ids + [self.tokenizer.pad_token_id] * (limit - len(ids)), kept, lost

    def encode(self, ids: list[int]) -> Any:
        """The text encoder's last hidden state for one prompt's ids: shape (1, tokens, text_width)."""
        import torch

        with torch.inference_mode():
            tokens = torch.tensor([ids], device=self.text_encoder.device)
            return self.text_encoder(tokens)[0]


class ModelLoader:
    """Loads models. Thread-safe: several users of a model share one load and one copy of the weights.

    References are counted. `acquire` gives a lease, and the loader holds a model until its last lease is
    released. Python counts the references to what `load_local` returns: those weights are freed with the last
    reference to the LoadedModel. Until then both methods return the same object.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._slots: dict[tuple[Path, str, bool], _ModelSlot] = {}
        self._leases: Leases[LoadedModel] = Leases()

    def acquire(
        self,
        path: str | Path,
        sha256: str | None = None,
        *,
        device: str = "cpu",
        half: bool = False,
        force: bool = False,
    ) -> Lease[LoadedModel]:
        """A lease on the model that `load_local` returns for the same arguments, with the same errors.

        `with loader.acquire(path) as model:` releases it at the end.
        """
        return self._leases.take(self.load_local(path, sha256, device=device, half=half, force=force))

    def references(self, model: LoadedModel) -> int:
        """Leases on `model` that are not released."""
        return self._leases.count(model)

    def load_local(
        self,
        path: str | Path,
        sha256: str | None = None,
        *,
        device: str = "cpu",
        half: bool = False,
        force: bool = False,
    ) -> LoadedModel:
        """The model in the folder `path` (diffusers layout), checked before it is loaded.

        The weights become float32, or float16 with `half`. `sha256` is the folder's digest as `folder_digest`
        defines it; hashes of unchanged files are cached, and `force` reads the files again. Raises
        ModelNotLoaded if files are missing, altered, pickles, or do not fit each other; nothing then stays in
        memory. A changed folder is a new model, even while the old one is in use.
        """
        folder = Path(path).resolve()
        with self._guard:
            slot = self._slots.setdefault((folder, device, half), _ModelSlot())
        with slot.lock:
            files = fingerprint(folder)
            check_folder(folder, sha256, force=force)
            model = slot.model
            if model is None or slot.files != files:
                model = _load(folder, device, half)
                if fingerprint(folder) != files:
                    raise ModelNotLoaded(
                        f"The model in {folder} was changed while it was being loaded.",
                        ["Load it again when nothing writes to the folder any more."],
                    )
                slot.keep(model, files)
            return model

    def load_remote(
        self,
        url: str,
        sha256: str,
        *,
        device: str = "cpu",
        half: bool = False,
        downloader: HTTPDownloader | None = None,
        progress: ByteProgress | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> LoadedModel:
        """The model in the folder under `url` (see `models.remote`), downloaded into the cache once.

        Raises the errors of `load_local` and `fetch_model`.
        """
        folder = fetch_model(url, sha256, downloader=downloader, progress=progress, cancelled=cancelled)
        return self.load_local(folder, sha256, device=device, half=half)

    def in_use(self) -> tuple[Path, ...]:
        """The folders of the models in use, once for each device and precision."""
        with self._guard:
            slots = list(self._slots.values())
        return tuple(sorted(model.path for slot in slots if (model := slot.model) is not None))

    def forget(self) -> None:
        """The next load reads from disk again. Models in use stay until their users release them."""
        with self._guard:
            self._slots.clear()


class _ModelSlot:
    """What all loads of one model share: a lock, and the model while it is in use."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.files: tuple[tuple[str, Identity], ...] = ()
        self._model: Callable[[], LoadedModel | None] = lambda: None

    @property
    def model(self) -> LoadedModel | None:
        return self._model()

    def keep(self, model: LoadedModel, files: tuple[tuple[str, Identity], ...]) -> None:
        self._model, self.files = weakref.ref(model), files


def _load(folder: Path, device: str, half: bool) -> LoadedModel:
    try:
        model = _load_parts(folder, device, half)
        # The libraries leave reference cycles that would keep the weights alive after their last user.
        gc.collect()
        return model
    except SDKError:
        raise
    except Exception as error:
        # The traceback would keep the loaded parts alive as long as the error.
        traceback.clear_frames(error.__traceback__)
        # For the user every error of a library means the same: this model cannot be loaded.
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
    """`from_pretrained`, but missing tensors are an error instead of random numbers."""
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
