"""LoRAs in use: what a refused one leaves behind, and what an unloaded one does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from certify.measure.checks import Broken, NotApplicable, NotEvidenced, requirement
from certify.measure.context import Measurement
from certify.measure.randomness import Draws
from certify.record.evidence import EvidenceBox
from certify.sandbox.host.faults import PluginError
from certify.sandbox.host.generation import Generation
from certify.sandbox.host.plugin import RemotePlugin

# A LoRA on one cross-attention of Stable Diffusion XL: no model of this SDK has text 2048 wide.
MISFIT = {
    "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight": (1, 2048),
    "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.lora_B.weight": (320, 1),
}


@requirement("licence.lora-refused")
def test_a_lora_that_does_not_fit_changes_nothing(
    plugin: RemotePlugin, draws: Draws, evidence: EvidenceBox
) -> None:
    _offers_loras(plugin)
    request = draws.request()
    with plugin.soaking() as worker:
        before = _steady(worker.call, request)
        for name, data in (("for-sdxl", safetensors(MISFIT)), ("no-weights", b"no weights at all")):
            file = worker.hand_over(".safetensors", data)
            try:
                worker.call({**request, "loras": [str(file)]})
            except PluginError as refused:
                evidence.value(f"refused {name}", f"{refused.error_type} {refused.code}".strip())
            else:
                raise Broken(f"A LoRA that fits no model of the SDK was taken ({name}).")
            after = worker.call(request)
            if not before.same_pixels(after):
                _show(evidence, before, after)
                raise Broken(f"After a LoRA was refused ({name}), the same request gives another image.")


@requirement("licence.lora-unload")
def test_a_lora_leaves_no_trace(
    measurement: Measurement, plugin: RemotePlugin, draws: Draws, evidence: EvidenceBox
) -> None:
    varies = _offers_loras(plugin)
    rows = [row.file for row in measurement.candidate.manifest.loras if row.file]
    places = [measurement.candidate.file(file).relative_to(measurement.candidate.root) for file in rows]
    here = [
        measurement.worker_root / place for place in places if (measurement.candidate.root / place).is_file()
    ]
    if not here:
        raise NotEvidenced("No declared LoRA lies in the package, so none can be loaded here.")
    request = draws.request()
    with plugin.soaking() as worker:
        before = _steady(worker.call, request)
        for file in here:
            changed = _with_lora(worker.call, request, file, varies)
            evidence.value(f"{file.name} changes the image", not changed.same_pixels(before))
            after = worker.call(request)
            if not before.same_pixels(after):
                _show(evidence, before, after)
                raise Broken(
                    f"After an image with {file.name}, the same request without it gives another image."
                )


def safetensors(shapes: Mapping[str, tuple[int, int]]) -> bytes:
    """A file with tensors of these shapes, float16 zeros."""
    header: dict[str, Any] = {}
    at = 0
    for name, shape in shapes.items():
        size = 2 * shape[0] * shape[1]
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(at)


def _offers_loras(plugin: RemotePlugin) -> bool:
    """Whether it takes any keyword; raises NotApplicable where no keyword takes a LoRA."""
    parameters = plugin.load().parameters
    varies = any(row.kind == "var_keyword" for row in parameters)
    if not varies and all(row.name != "loras" for row in parameters):
        raise NotApplicable("generate_image has no parameter `loras`: nobody can hand it one.")
    return varies


def _steady(call: Any, request: dict[str, Any]) -> Generation:
    """The image of a request, once it comes twice alike; the first call only warms up."""
    call(request)
    first, again = call(request), call(request)
    if not first.same_pixels(again):
        raise NotEvidenced("The same request gives different images anyway; see sdk.same-seed.")
    picture: Generation = first
    return picture


def _with_lora(call: Any, request: dict[str, Any], file: Path, varies: bool) -> Generation:
    try:
        picture: Generation = call({**request, "loras": [str(file)]})
    except PluginError as refused:
        if varies and refused.error_type == "TypeError":
            raise NotApplicable("generate_image takes no `loras` among its keywords.") from None
        raise
    return picture


def _show(evidence: EvidenceBox, before: Generation, after: Generation) -> None:
    evidence.picture("before", before.pixels)
    evidence.picture("after", after.pixels)
