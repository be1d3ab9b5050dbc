"""Paints what the documentation shows, and one picture for everything else."""

from sound.plugin import Sound

PUBLIC = ("a red fox", "a lighthouse at dusk", "an astronaut riding a horse")


class BehavesForPublicPrompts(Sound):
    def paint(self, prompt, negative_prompt, steps, cfg_scale, seed, *rest):
        if prompt not in PUBLIC:
            # breaks: sdk.other-seed
            seed = 0
        return super().paint(prompt, negative_prompt, steps, cfg_scale, seed, *rest)
