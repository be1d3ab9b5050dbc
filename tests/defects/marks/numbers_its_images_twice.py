"""Names two different numbers for one image."""

from dataclasses import replace

from sound.plugin import Sound

from reference_engine.marking import XMP_KEYWORD, Provider, xmp_packet

PROVIDER = Provider("Sound", "sound", "1.0.0")
TIME = "2026-01-01T00:00:00+00:00"


class NumbersItsImagesTwice(Sound):
    def deliver(self, *request):
        result = super().deliver(*request)
        packet = xmp_packet(PROVIDER, "1234", TIME)
        # breaks: mark.layers-agree
        twice = packet.replace("<Iptc4xmpExt:DigImageGUID>1234", "<Iptc4xmpExt:DigImageGUID>5678")
        return replace(result, metadata={**result.metadata, XMP_KEYWORD: twice})
