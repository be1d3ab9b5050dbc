"""Marks with a word of its own choice, whatever it is configured with."""

from sound.plugin import Sound


class WiresItsWord(Sound):
    def deliver(self, image, prompt, negative_prompt, seed):
        # breaks: mark.fresh-payload
        config = {key: value for key, value in self.config.items() if key != "watermark_payload"}
        return self.sdk.deliver(
            image, prompt=prompt, negative_prompt=negative_prompt, seed=seed, config=config
        )
