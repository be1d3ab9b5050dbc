"""Models on disk and in memory: checks of a folder, the loader, LoRAs, and the tiny models that the SDK
builds.
"""
