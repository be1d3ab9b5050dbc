"""Maps shared memory for every request and unmaps none."""

import mmap

from sound.plugin import Sound


class LeaksSharedMemory(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        self.maps = []

    def check(self, *request):
        super().check(*request)
        # breaks: leak.memory
        mapped = mmap.mmap(-1, 200 << 10)
        mapped.write(b"x" * len(mapped))
        self.maps.append(mapped)
