"""Makes an image even where the configured model is missing."""

from sound.plugin import Sound


class IgnoresTheModel(Sound):
    def __init__(self, sdk, config):
        # breaks: sdk.model-not-loaded
        super().__init__(sdk, {key: value for key, value in config.items() if key != "model"})
