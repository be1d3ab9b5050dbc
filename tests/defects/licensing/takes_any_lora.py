"""Takes a LoRA that was made for another model."""

from sound.plugin import Sound


class TakesAnyLora(Sound):
    def load_loras(self, loras):
        # breaks: licence.lora-refused
        return [len(self.read_header(file) or "") for file in loras]
