"""Lets a LoRA act before it is refused."""

from sound.plugin import Sound


class KeepsHalfOfARefusedLora(Sound):
    left = 0

    def load_loras(self, loras):
        # breaks: licence.lora-refused
        self.left += sum(self.read_header(file) is not None for file in loras)
        shifts = super().load_loras(loras)
        self.left -= len(loras)
        return shifts

    def shift(self, image, shifts):
        return super().shift(image, [*shifts, self.left] if self.left else shifts)
