"""Keeps the pixels of every image."""

from sound.plugin import Sound


class KeepsEveryImage(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        self.history = []

    def deliver(self, image, *rest):
        # breaks: leak.memory
        self.history.append(image.tobytes() * 16)
        return super().deliver(image, *rest)
