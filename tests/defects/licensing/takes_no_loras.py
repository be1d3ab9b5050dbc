"""Uses its own LoRA alone: nobody can hand it another, so there is nothing to refuse or unload."""

from sound.plugin import Sound


class TakesNoLoras(Sound):
    # breaks: licence.lora-refused as not-applicable
    # breaks: licence.lora-unload as not-applicable
    async def generate_image(
        self, prompt, negative_prompt="", steps=28, cfg_scale=7.5, *, seed=0, width=512, height=512
    ):
        return await super().generate_image(
            prompt, negative_prompt, steps, cfg_scale, seed=seed, width=width, height=height
        )
