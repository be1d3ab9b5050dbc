"""Takes steps before the negative prompt."""

from sound.plugin import Sound


class SwapsParameters(Sound):
    # breaks: sdk.generate-signature
    async def generate_image(self, prompt, steps=28, negative_prompt="", cfg_scale=7.5, **parameters):
        return await super().generate_image(prompt, negative_prompt, steps, cfg_scale, **parameters)
