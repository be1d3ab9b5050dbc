"""Takes any keyword, makes one image however many are asked for, and refuses pictures to start from."""

from sound.plugin import Sound

from reference_engine import InvalidParameter


class MakesOneImageFromWords(Sound):
    # breaks: nothing
    async def generate_image(self, prompt, negative_prompt="", steps=28, cfg_scale=7.5, **more):
        if more.pop("init_image", None) is not None:
            raise InvalidParameter("Only words.", ["It starts from no picture."])
        more.pop("num_images", None)
        return await super().generate_image(prompt, negative_prompt, steps, cfg_scale, **more)
