"""Saves the marked picture under an alpha channel that hides it."""

import io

from PIL.PngImagePlugin import PngInfo
from sound.plugin import Sound


class SavesItTransparent(Sound):
    def deliver(self, *request):
        result = super().deliver(*request)
        texts = PngInfo()
        for key, text in result.metadata.items():
            texts.add_itxt(key, text)
        hidden, file = result.image.copy(), io.BytesIO()
        hidden.putalpha(0)
        hidden.save(file, "PNG", pnginfo=texts)
        # breaks: mark.file-is-image
        object.__setattr__(result, "png", file.getvalue)
        return result
