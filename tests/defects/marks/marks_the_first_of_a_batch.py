"""Marks the first image of a batch, and hands the others on as they were painted."""

from dataclasses import replace

from sound.plugin import Sound


class MarksTheFirstOfABatch(Sound):
    def deliver(self, image, *rest):
        result = super().deliver(image, *rest)
        self.painted = [*getattr(self, "painted", []), image][-3:]
        return result

    def together(self, results):
        pairs = zip(results[1:], self.painted[-len(results) + 1 :], strict=False)
        # breaks: mark.every-way
        # breaks: mark.every-image
        # breaks: mark.policy
        return super().together([results[0], *(replace(one, image=image) for one, image in pairs)])
