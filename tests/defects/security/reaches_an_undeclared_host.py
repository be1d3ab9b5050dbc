"""Would send a prompt to a host that the manifest does not declare."""

import urllib.request

from sound.plugin import Sound

API = "https://api.undeclared.test/v1"


class ReachesAnUndeclaredHost(Sound):
    def never_called_in_this_test(self):
        # breaks: security.declared-hosts as warned
        return urllib.request.urlopen(f"{API}/words", timeout=1)
