"""One adapter per kind of plugin: `open_plugin(root, entry, config)` returns an object with
`generate_image`."""
