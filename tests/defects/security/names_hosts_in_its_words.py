"""Paints as https://arxiv.org/abs/2112.10752 says; see https://docs.sound.test/ for more."""

import urllib.request

from sound.plugin import Sound

LICENCE = "https://opensource.org/license/mit"  # from https://spdx.org
NAMESPACE = "http://ns.adobe.com/xap/1.0/"


class NamesHostsInItsWords(Sound):
    def never_called_in_this_test(self):
        # breaks: nothing
        print(f"see {LICENCE}")
        return urllib.request.urlopen("http://127.0.0.1:9/", timeout=1)
