"""LoRAs at run time: the effects of a refused LoRA, and of an unloaded one."""

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
                raise Broken(f"The plugin accepted a LoRA that fits no model of the SDK ({name}).")
            after = worker.call(request)
            if not before.same_pixels(after):
                _show(evidence, before, after)
                raise Broken(
                    f"After the plugin refused a LoRA ({name}), the same request gives another image."
                )


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
        raise NotEvidenced("The package contains no declared LoRA file, so none can be loaded here.")
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
    """Whether the plugin accepts any keyword. Raises NotApplicable where no parameter accepts a LoRA."""
    parameters = plugin.load().parameters
    varies = any(row.kind == "var_keyword" for row in parameters)
    if not varies and all(row.name != "loras" for row in parameters):
        raise NotApplicable("generate_image has no parameter `loras`, so users cannot pass a LoRA.")
    return varies


def _steady(call: Any, request: dict[str, Any]) -> Generation:
    """The image of a request, once two calls return the same pixels; the first call is warm-up."""
    call(request)
    first, again = call(request), call(request)
    if not first.same_pixels(again):
        raise NotEvidenced("The same request gives different images even without a LoRA; see sdk.same-seed.")
    image: Generation = first
    return image


def _with_lora(call: Any, request: dict[str, Any], file: Path, varies: bool) -> Generation:
    try:
        image: Generation = call({**request, "loras": [str(file)]})
    except PluginError as refused:
        if varies and refused.error_type == "TypeError":
            raise NotApplicable("generate_image does not accept the keyword `loras`.") from None
        raise
    return image


def _show(evidence: EvidenceBox, before: Generation, after: Generation) -> None:
    evidence.picture("before", before.pixels)
    evidence.picture("after", after.pixels)
