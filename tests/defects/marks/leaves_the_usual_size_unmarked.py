"""Leaves images of the size that users get by default as they are."""

from dataclasses import replace

from sound.plugin import Sound


class LeavesTheUsualSizeUnmarked(Sound):
    def deliver(self, image, *rest):
        result = super().deliver(image, *rest)
        # breaks: mark.every-way
        # breaks: mark.every-image
        # breaks: mark.policy
        return replace(result, image=image) if image.size == (512, 512) else result
