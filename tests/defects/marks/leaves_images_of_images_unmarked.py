"""Takes an image that was made from a picture for the user's own, and does not mark it."""

from dataclasses import replace

from sound.plugin import Sound


class LeavesImagesOfImagesUnmarked(Sound):
    begun = False

    def start_from(self, start, image, strength):
        self.begun = start is not None
        return super().start_from(start, image, strength)

    def deliver(self, image, *rest):
        result = super().deliver(image, *rest)
        # breaks: mark.every-way
        # breaks: mark.every-image
        # breaks: mark.policy
        return replace(result, image=image) if self.begun else result
