"""Drops what is not ASCII before it paints."""

from sound.plugin import Sound


class UnderstandsAsciiOnly(Sound):
    def paint(self, prompt, *rest):
        # breaks: lang.four-pictures
        return super().paint(prompt.encode("ascii", "ignore").decode().strip(), *rest)
