"""Evaluates what it is given."""

from sound.plugin import Sound


class EvaluatesText(Sound):
    def scale(self, text):
        # breaks: security.dynamic-code as warned
        return eval(text)
