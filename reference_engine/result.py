"""The result of a generation."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

    from .marking.credentials import Credentials
    from .marking.metadata import Provider


@dataclass(frozen=True)
class Marks:
    """The marks of an image: method and payload (hex) of the invisible mark, kinds of metadata."""

    method: str
    payload: str
    metadata: tuple[str, ...] = ("iptc",)


@dataclass(frozen=True)
class ImageResult:
    """One finished, marked image and how it was made.

    `image` is RGB. `timings` are seconds per stage. `metadata` is the text that `png()` writes, from keyword
    to text. If the prompt had more tokens than the model reads, `truncated` is true, and `kept` + `lost` is
    the prompt that reached the encoder, after the plugin's own stages. `seed` is None only if a plugin's own
    engine gave none. `warnings` are sentences for the user.

    A call for several images returns the first, with the `others` in it. `images` has the images of all;
    `each` has a result for every image, marked and with its own seed and metadata.
    """

    image: Image
    prompt: str
    negative_prompt: str
    seed: int | None
    width: int
    height: int
    marks: Marks
    metadata: Mapping[str, str]
    timings: Mapping[str, float] = field(default_factory=dict)
    truncated: bool = False
    kept: str = ""
    lost: str = ""
    warnings: tuple[str, ...] = ()
    others: tuple[ImageResult, ...] = ()
    credentials: Credentials | None = None
    provider: Provider | None = None

    @property
    def each(self) -> tuple[ImageResult, ...]:
        """A result for every image of the call, this one first."""
        return (self, *self.others)

    @property
    def images(self) -> tuple[Image, ...]:
        """Every image of the call, RGB, each marked."""
        return tuple(result.image for result in self.each)

    def png(self) -> bytes:
        """The image as a PNG file, with `metadata` as uncompressed UTF-8 iTXt, and signed if there are
        `credentials`. Equal results give equal bytes, except for the signature.
        """
        from .marking.credentials import sign
        from .marking.png import write_png

        data = write_png(self.image, self.metadata)
        return sign(data, self.credentials, self.provider) if self.credentials else data

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes `png()` to `path`, which must end in .png (another format would lose the metadata)."""
        target = Path(path)
        if target.suffix.lower() != ".png":
            raise ValueError(
                f'The result is saved as PNG, so that its marks stay; "{target.name}" must end in .png.'
            )
        target.write_bytes(self.png())
        return target
