"""Offers the last remedy first."""

from sound.plugin import MEMORY_NEEDED, Sound

from reference_engine import OutOfMemory


class OffersRemediesInAnotherOrder(Sound):
    def check_memory(self):
        if self.settings.memory_limit < MEMORY_NEEDED:
            # breaks: sdk.out-of-memory
            raise OutOfMemory("too little", tuple(reversed(OutOfMemory.REMEDIES)))
