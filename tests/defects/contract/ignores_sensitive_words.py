"""Does not hand the host's word list on."""

from sound.plugin import Sound


class IgnoresSensitiveWords(Sound):
    def __init__(self, sdk, config):
        super().__init__(sdk, config)
        # breaks: sdk.sensitive-words
        self.config = {key: value for key, value in config.items() if key != "sensitive_words"}
