"""An image file of a usual format, as RGB pixels and texts, by Pillow."""

import io
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from _frames import serve

MAX_PIXELS = 4096 * 4096
MAX_TEXT = 1 << 16
FORMATS = ("PNG", "JPEG", "WEBP")
USER_COMMENT, EXIF_POINTER, MAKE, DESCRIPTION = 0x9286, 0x8769, 0x010F, 0x010E


def answer(header: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    with Image.open(io.BytesIO(payload), formats=FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"{image.width} x {image.height} pixels are more than {MAX_PIXELS}")
        pixels = image.convert("RGB")
        head = {
            "format": image.format,
            "width": pixels.width,
            "height": pixels.height,
            "texts": _texts(image),
        }
    return head, pixels.tobytes()


def _texts(image: Any) -> dict[str, str]:
    """Texts under the keys that PNG gives them."""
    texts = {str(key): value[:MAX_TEXT] for key, value in image.info.items() if isinstance(value, str)}
    packet = image.info.get("xmp")
    if isinstance(packet, bytes):
        texts["XML:com.adobe.xmp"] = packet[:MAX_TEXT].decode("utf-8", "replace")
    exif = image.getexif()
    comment = exif.get_ifd(EXIF_POINTER).get(USER_COMMENT)
    if isinstance(comment, bytes):
        encoding = "utf-16" if comment[:7] == b"UNICODE" else "utf-8"
        texts.setdefault("parameters", comment[8:MAX_TEXT].decode(encoding, "replace").strip("\0"))
    for tag in (MAKE, DESCRIPTION):
        name, colon, value = str(exif.get(tag, "")).partition(":")
        if colon and name.lower() in ("prompt", "workflow"):
            texts.setdefault(name.lower(), value[:MAX_TEXT])
    return texts


serve(answer)
