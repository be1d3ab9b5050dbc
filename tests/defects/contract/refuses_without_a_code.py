"""Refuses sensitive words with an exception of its own."""

from sound.plugin import Sound

from reference_engine import InvalidPrompt


class RefusesWithoutACode(Sound):
    def check(self, *request):
        try:
            super().check(*request)
        except InvalidPrompt as error:
            # breaks: sdk.sensitive-words
            raise ValueError(error.message) from None
