"""Declares generate_image without `async`."""

from sound.plugin import Sound


class IsNotAsynchronous(Sound):
    # breaks: sdk.entry-loads
    # leaves unmeasured: everything that asks the plugin
    def generate_image(self, prompt, negative_prompt="", steps=28, cfg_scale=7.5, **parameters):
        return None
