"""Reading AI marks: each layer a module of its own, pure and without a network."""
