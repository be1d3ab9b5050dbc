"""Content credentials (C2PA) of image files, by c2pa-python: offline, and only with the given trust list."""

import io
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from _frames import serve, split


def answer(header: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
    import c2pa

    settings = {
        "verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
        "trust": {"user_anchors": header["anchors"]},
    }
    if not header["anchors"]:
        del settings["trust"]
    reports = []
    with c2pa.Context(c2pa.Settings.from_json(json.dumps(settings))) as context:
        for data in split(payload, header["lengths"]):
            reports.append(_report(c2pa, context, header["mime"], data))
    return {"reports": reports}, b""


def _report(c2pa: Any, context: Any, mime: str, data: bytes) -> dict[str, Any]:
    try:
        with c2pa.Reader(mime, io.BytesIO(data), context=context) as reader:
            store = json.loads(reader.json())
    except c2pa.C2paError as error:
        message = str(error)
        return {"found": False} if "ManifestNotFound" in message else {"found": True, "broken": message[:300]}
    label = store.get("active_manifest", "")
    manifest = store.get("manifests", {}).get(label, {})
    results = store.get("validation_results", {}).get("activeManifest", {})
    actions = [
        {"action": str(action.get("action")), "source_type": str(action.get("digitalSourceType", ""))}
        for assertion in manifest.get("assertions", [])
        if str(assertion.get("label", "")).startswith("c2pa.actions")
        for action in assertion.get("data", {}).get("actions", [])
    ]
    signed = manifest.get("signature_info", {})
    generators = manifest.get("claim_generator_info", [])
    return {
        "found": True,
        "state": str(store.get("validation_state")),
        "failures": [str(failure.get("code")) for failure in results.get("failure", [])],
        "actions": actions[:20],
        "issuer": str(signed.get("issuer", "")),
        "signed": str(signed.get("time", "")),
        "label": str(label),
        "instance": str(manifest.get("instance_id", "")),
        "generator": " ".join(str(generator.get("name", "")) for generator in generators)[:200],
        "version": " ".join(str(generator.get("version", "")) for generator in generators)[:200],
    }


serve(answer)
