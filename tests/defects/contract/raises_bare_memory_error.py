"""Lets Python's own MemoryError through."""

from sound.plugin import MEMORY_NEEDED, Sound


class RaisesBareMemoryError(Sound):
    def check_memory(self):
        if self.settings.memory_limit < MEMORY_NEEDED:
            # breaks: sdk.out-of-memory
            raise MemoryError
