"""Traces of tools in a file: evidence of its origin, not a mark. They may leak prompts and paths."""

from __future__ import annotations

import json
from collections.abc import Mapping

from certify.instruments.marks.layers import Layer


def read_tool(texts: Mapping[str, str]) -> Layer:
    """AUTOMATIC1111 and its forks write PNG text `parameters`, ComfyUI `prompt` and `workflow` as JSON, the
    SDK `parameters-json`.
    """
    tools = []
    if "Steps:" in texts.get("parameters", ""):
        tools.append("AUTOMATIC1111 (parameters)")
    if _is_graph(texts.get("prompt", "")) or _is_json(texts.get("workflow", "")):
        tools.append("ComfyUI (prompt, workflow)")
    if _is_json(texts.get("parameters-json", "")):
        tools.append("the SDK (parameters-json)")
    if not tools:
        return Layer("tool", "absent", "", "no chunk of a known tool")
    return Layer("tool", "present", ", ".join(tools), "for information: it is not a mark")


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _is_graph(text: str) -> bool:
    return _is_json(text) and '"class_type"' in text
