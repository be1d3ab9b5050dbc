"""One adapter a kind of plugin: `open_plugin(root, entry, config)` gives an object with `generate_image`."""
