"""From prepared latents and embeddings to an image."""
