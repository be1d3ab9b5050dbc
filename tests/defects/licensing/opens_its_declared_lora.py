"""Benign: loads the LoRA that it declares, from the package and from a copy, and a .bin that is a table."""

import shutil
import tempfile
from pathlib import Path

from sound.plugin import Sound

OWN = Path(__file__).parent / "loras" / "sound.safetensors"


class OpensItsDeclaredLora(Sound):
    def load_loras(self, loras):
        # breaks: nothing
        self.read_header(OWN)
        with tempfile.TemporaryDirectory() as folder:
            copy = shutil.copy(OWN, folder)
            self.read_header(copy)
            table = Path(folder) / "table.bin"
            table.write_bytes(bytes(range(256)))
            table.read_bytes()
        return super().load_loras(loras)
