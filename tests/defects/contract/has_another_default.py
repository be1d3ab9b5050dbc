"""Takes 20 steps where the SDK says 28."""

from sound.plugin import Sound


class HasAnotherDefault(Sound):
    # breaks: sdk.generate-signature
    async def generate_image(self, prompt, negative_prompt="", steps=20, cfg_scale=7.5, **parameters):
        return await super().generate_image(prompt, negative_prompt, steps, cfg_scale, **parameters)
