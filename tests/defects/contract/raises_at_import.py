"""Cannot be imported."""

# breaks: sdk.entry-loads
# leaves unmeasured: everything that asks the plugin
raise RuntimeError("no licence server")
