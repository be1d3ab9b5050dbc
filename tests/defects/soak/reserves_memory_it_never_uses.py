"""Maps a region for every request and neither uses nor unmaps it: nothing of it is resident."""

import mmap

from sound.plugin import Sound


class ReservesMemoryItNeverUses(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        self.maps = []

    def check(self, *request):
        super().check(*request)
        # breaks: leak.memory
        self.maps.append(mmap.mmap(-1, 1 << 16))
