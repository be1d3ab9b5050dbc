"""LoRA files and what their authors permit."""
