"""Leaves the image unmarked that is made right after a refused request."""

from dataclasses import replace

from sound.plugin import Sound


class ForgetsAfterAnError(Sound):
    refused = False

    def check(self, *request):
        try:
            super().check(*request)
        except Exception:
            self.refused = True
            raise

    def deliver(self, image, *rest):
        result = super().deliver(image, *rest)
        forgets, self.refused = self.refused, False
        # breaks: mark.every-way
        # breaks: mark.every-image
        # breaks: mark.policy
        return replace(result, image=image) if forgets else result
