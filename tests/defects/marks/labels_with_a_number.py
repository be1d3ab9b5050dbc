"""Writes the AIGC label as a number, where the standard asks for a string."""

from dataclasses import replace

from sound.plugin import Sound

from reference_engine.marking import XMP_KEYWORD, Provider, xmp_packet

PROVIDER = Provider("Sound", "sound", "1.0.0")
TIME = "2026-01-01T00:00:00+00:00"


class LabelsWithANumber(Sound):
    def deliver(self, *request):
        result = super().deliver(*request)
        packet = xmp_packet(PROVIDER, "1234", TIME)
        # breaks: mark.policy
        wrong = packet.replace('"Label":"1"', '"Label":1')
        return replace(result, metadata={**result.metadata, XMP_KEYWORD: wrong})
