"""Is loud, which is a nuisance and no defect."""

import sys

from sound.plugin import Sound


class PrintsAMegabyte(Sound):
    def paint(self, prompt, negative_prompt, steps, *rest):
        if steps == 50:
            # breaks: nothing
            print("x" * (1 << 20))
            print("::error::not yours\x1b[2J", file=sys.stderr)
        return super().paint(prompt, negative_prompt, steps, *rest)
