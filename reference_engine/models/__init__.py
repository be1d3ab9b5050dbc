"""Models on disk and in memory: the folder's checks, the loader, LoRAs, and the tiny models the SDK makes
itself.
"""
