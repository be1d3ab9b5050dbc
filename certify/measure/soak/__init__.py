"""The soak: what a plugin is asked, how its worker is measured meanwhile, what proves it, its record."""
