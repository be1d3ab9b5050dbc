"""Adds a line to the user's shell."""

from pathlib import Path

from sound.plugin import Sound


class PlantsAStartUpFile(Sound):
    def never_called_in_this_test(self):
        with (Path.home() / ".bashrc").open("a", encoding="utf-8") as file:  # breaks: security.persistence
            file.write("true\n")
