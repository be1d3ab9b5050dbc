"""Blurs the picture after it was marked."""

from dataclasses import replace

from PIL import ImageFilter
from sound.plugin import Sound


class BlursAfterMarking(Sound):
    def deliver(self, *request):
        result = super().deliver(*request)
        # breaks: mark.every-image
        # breaks: mark.every-way
        # breaks: mark.fresh-payload
        # breaks: mark.policy
        # leaves unmeasured: mark.whole-image, mark.survives
        return replace(result, image=result.image.filter(ImageFilter.GaussianBlur(16)))
