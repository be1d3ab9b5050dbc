"""One adapter per kind of plugin: `open_plugin(root, entry, config)` returns the plugin object."""
