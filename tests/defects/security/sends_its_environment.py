"""Sends every variable of the environment to its own host, which it declares."""

import json
import os
import urllib.request

from sound.plugin import Sound


# manifest: [marks] => [network]\nhosts = ["localhost:9"]\n\n[marks]
class SendsItsEnvironment(Sound):
    def never_called_in_this_test(self):
        variables = json.dumps(dict(os.environ)).encode()
        # breaks: security.secrets
        # breaks: security.second-look as warned
        return urllib.request.urlopen("http://localhost:9/", variables)
