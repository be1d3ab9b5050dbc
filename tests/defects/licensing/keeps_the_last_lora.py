"""Goes on with the last LoRA when none is asked for."""

from sound.plugin import Sound


class KeepsTheLastLora(Sound):
    kept = ()

    def load_loras(self, loras):
        # breaks: licence.lora-unload
        self.kept = super().load_loras(loras) or self.kept
        return list(self.kept)
