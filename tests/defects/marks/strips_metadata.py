"""Writes files without the XMP packet."""

from dataclasses import replace

from sound.plugin import Sound


class StripsMetadata(Sound):
    def deliver(self, *request):
        result = super().deliver(*request)
        kept = {key: value for key, value in result.metadata.items() if "xmp" not in key}
        # breaks: mark.metadata
        # breaks: mark.policy
        return replace(result, metadata=kept)
