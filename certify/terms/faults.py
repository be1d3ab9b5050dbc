"""What can become of a call, besides an answer and an exception of the plugin."""

from __future__ import annotations

from typing import Literal

FaultKind = Literal["load-failed", "ended", "hung", "misspoke"]
"""`load-failed`: the entry was not imported or its factory raised; `ended`: the worker's process ended;
`hung`: no answer within the deadline; `misspoke`: an answer out of form."""
