"""Becomes the administrator of a namespace of its own, the first step of many ways out."""

from armoury import in_a_fork, tell
from calls import call
from sound.plugin import Sound


class MakesAUserNamespace(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)

        def act():
            # breaks: security.stays-inside
            call("unshare", 0x10000000)
            tell("a user namespace")

        in_a_fork(act)
