"""Lets one request show in the next."""

from sound.plugin import Sound


class RemembersTheLastRequest(Sound):
    last = ""

    def paint(self, prompt, *rest):
        # breaks: sdk.same-seed
        mixed, self.last = f"{prompt} {self.last}", prompt
        return super().paint(mixed, *rest)
