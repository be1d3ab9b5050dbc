"""Returns a sentence where an image is due."""

from sound.plugin import Sound


class ReturnsNoPicture(Sound):
    async def generate_image(self, prompt, negative_prompt="", steps=28, cfg_scale=7.5, **parameters):
        result = await super().generate_image(prompt, negative_prompt, steps, cfg_scale, **parameters)
        if steps == 50:
            # breaks: sdk.answers-wellformed
            # leaves unmeasured: sdk.steps-range
            return "a very fine picture"
        return result
