"""Content credentials (C2PA) of image files, by c2pa-python: offline, and with our own trust list alone."""

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
        told = str(error)
        return {"found": False} if "ManifestNotFound" in told else {"found": True, "broken": told[:300]}
    label = store.get("active_manifest", "")
    manifest = store.get("manifests", {}).get(label, {})
    results = store.get("validation_results", {}).get("activeManifest", {})
    actions = [
        {"action": str(one.get("action")), "source_type": str(one.get("digitalSourceType", ""))}
        for assertion in manifest.get("assertions", [])
        if str(assertion.get("label", "")).startswith("c2pa.actions")
        for one in assertion.get("data", {}).get("actions", [])
    ]
    signed = manifest.get("signature_info", {})
    generators = manifest.get("claim_generator_info", [])
    return {
        "found": True,
        "state": str(store.get("validation_state")),
        "failures": [str(one.get("code")) for one in results.get("failure", [])],
        "actions": actions[:20],
        "issuer": str(signed.get("issuer", "")),
        "signed": str(signed.get("time", "")),
        "label": str(label),
        "instance": str(manifest.get("instance_id", "")),
        "generator": " ".join(str(one.get("name", "")) for one in generators)[:200],
        "version": " ".join(str(one.get("version", "")) for one in generators)[:200],
    }


serve(answer)
