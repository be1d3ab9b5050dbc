"""The visible label: text in the lower left corner which says that the image is AI-generated.

GB 45438-2025 requires text at an edge or corner whose glyphs are at least 5 % of the shortest side high.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

DEFAULT_LABEL = "AI generated"
HEIGHT_SHARE = 0.055
"""Of the shortest side: the required 5 %, and a little for rounding."""
INK, GROUND = (255, 255, 255), (0, 0, 0)


def draw_label(image: Image, text: str = DEFAULT_LABEL) -> Image:
    """A copy of `image` as RGB with `text`, white on black. Its capital letters are at least 5.5 % of the
    shortest side high, unless the text would then be wider than the image; it then fills the width.
    """
    from PIL import Image as pil_image
    from PIL import ImageDraw

    out = image.convert("RGB")
    height = max(8, round(min(out.size) * HEIGHT_SHARE + 0.5))
    glyphs = _glyphs(text, height)
    pad = max(1, height // 4)
    most = out.width - 2 * pad
    if glyphs.width > most:
        glyphs = glyphs.resize((most, max(1, round(glyphs.height * most / glyphs.width))))
    box = (0, out.height - glyphs.height - 2 * pad, glyphs.width + 2 * pad, out.height)
    ImageDraw.Draw(out).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=GROUND)
    out.paste(pil_image.new("RGB", glyphs.size, INK), (box[0] + pad, box[1] + pad), glyphs)
    return out


def _glyphs(text: str, height: int) -> Image:
    """The text as a mask whose capital "A" is `height` pixels high."""
    from PIL import Image as pil_image
    from PIL import ImageDraw, ImageFont

    size = height
    while True:
        font = ImageFont.load_default(size)
        _, top, _, bottom = font.getbbox("A")
        if bottom - top >= height:
            break
        size += 1
    left, top, right, bottom = (round(edge) for edge in font.getbbox(text))
    mask = pil_image.new("L", (max(1, right - left), max(1, bottom - top)))
    ImageDraw.Draw(mask).text((-left, -top), text, fill=255, font=font)
    return mask
