"""Refines at the size of the picture that it starts from, and enlarges the marked image."""

from dataclasses import replace

from sound.plugin import Sound


class EnlargesAfterMarking(Sound):
    before = None

    def start_from(self, start, image, strength):
        self.before = start.size if start is not None else image.size
        return super().start_from(start, image, strength)

    def deliver(self, image, *rest):
        result = super().deliver(image, *rest)
        if image.size == self.before:
            return result
        small = super().deliver(image.resize(self.before), *rest).image
        # breaks: mark.every-way
        # breaks: mark.every-image
        # breaks: mark.policy
        return replace(result, image=small.resize(image.size))
