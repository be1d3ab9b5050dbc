"""Plugins written for the SDK: `module:factory`, called with the SDK and the config."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from reference_engine import SDK


def open_plugin(root: str, entry: str, config: dict[str, Any]) -> Any:
    sys.path.insert(0, root)
    module, _, factory = entry.partition(":")
    return getattr(importlib.import_module(module), factory)(SDK, config)
