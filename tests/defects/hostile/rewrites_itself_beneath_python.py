"""Changes its own source by the C library."""

from pathlib import Path

from armoury import write_beneath_python
from sound.plugin import Sound


class RewritesItselfBeneathPython(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        # breaks: security.digest-unchanged
        write_beneath_python(Path(__file__).with_name("FACES.md"), b"No terms")
