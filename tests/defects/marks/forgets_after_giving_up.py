"""Is not tidied up when a call is cancelled: the image after it is left unmarked."""

import asyncio
from dataclasses import replace

from sound.plugin import Sound


class ForgetsAfterGivingUp(Sound):
    busy = skips = False

    async def generate_image(
        self,
        prompt,
        negative_prompt="",
        steps=28,
        cfg_scale=7.5,
        *,
        seed=0,
        width=512,
        height=512,
        loras=(),
        init_image=None,
        strength=0.75,
        num_images=1,
    ):
        self.skips, self.busy = self.busy, True
        await asyncio.sleep(0.03)
        self.busy = False
        return await super().generate_image(
            prompt,
            negative_prompt,
            steps,
            cfg_scale,
            seed=seed,
            width=width,
            height=height,
            loras=loras,
            init_image=init_image,
            strength=strength,
            num_images=num_images,
        )

    def deliver(self, image, *rest):
        result = super().deliver(image, *rest)
        # breaks: mark.every-way
        # breaks: mark.every-image
        # breaks: mark.policy
        return replace(result, image=image) if self.skips else result
