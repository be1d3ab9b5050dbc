"""Reads what the judge was started with."""

from armoury import DECOYS, read_beneath_python, tell
from sound.plugin import Sound


class ReadsTheJudgesEnvironment(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        # breaks: security.private-files
        loot = read_beneath_python(f"/proc/{DECOYS['judge']}/environ")
        if loot:
            tell("the judge's environment")
