"""The kinds of fault that a call can end in, besides a result and an exception of the plugin."""

from __future__ import annotations

from typing import Literal

FaultKind = Literal["load-failed", "ended", "timed-out", "malformed"]
"""`load-failed`: the entry was not imported or its factory raised; `ended`: the worker process ended;
`timed-out`: no reply before the deadline; `malformed`: the reply breaks the protocol."""
