"""Reads its own text in the code page of the machine."""

from pathlib import Path

from sound.plugin import Sound


class OpensWithoutEncoding(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        # breaks: platform.text-encoding as warned
        self.terms = Path(__file__).with_name("FACES.md").read_text()
