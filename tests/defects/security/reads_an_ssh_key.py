"""Opens the user's private key."""

from pathlib import Path

from sound.plugin import Sound


class ReadsAnSshKey(Sound):
    def never_called_in_this_test(self):
        # breaks: security.secrets
        return (Path.home() / ".ssh" / "id_ed25519").read_bytes()
