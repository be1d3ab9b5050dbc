"""Writes settings of its own, and speaks of crontab in its documentation: runs well from a crontab -."""

from pathlib import Path

from sound.plugin import Sound


class KeepsItsSettings(Sound):
    def never_called_in_this_test(self):
        # breaks: nothing
        Path("settings.json").write_text("{}", encoding="utf-8")
        return Path(__file__).read_text(encoding="utf-8")
