"""A package index of a few empty wheels, and an advisory service on loopback: what the defects depend on."""

from __future__ import annotations

import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# (name, version, lines of METADATA)
WHEELS = (
    ("numpy", "2.1.0", "License-Expression: BSD-3-Clause"),
    ("pillow", "11.0.0", "License: HPND"),
    ("pytest", "9.0.0", "License-Expression: MIT"),
    ("reqeusts", "2.0.0", "Classifier: License :: OSI Approved :: Apache Software License"),
    ("torchtriton", "3.0.0", "License-Expression: MIT"),
    ("brings-a-thief", "1.0.0", "License-Expression: MIT\nRequires-Dist: torchtriton"),
    ("for-scholars", "1.0.0", "Classifier: License :: Free for non-commercial use"),
    (
        "copyleft-tool",
        "1.0.0",
        "Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)",
    ),
    ("full-of-holes", "1.0.0", "License-Expression: MIT"),
    ("says-nothing", "1.0.0", ""),
)
ADVISORY = "PYSEC-2026-1"
VULNERABLE = "full-of-holes"


def build_index(folder: Path) -> Path:
    """A folder of wheels, as `--index` takes it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, version, lines in WHEELS:
        stem = f"{name.replace('-', '_')}-{version}"
        text = "\n".join(
            filter(None, ("Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", lines))
        )
        with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{stem}.dist-info/METADATA", text + "\n")
            wheel.writestr(
                f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            wheel.writestr(f"{stem}.dist-info/RECORD", "")
    return folder


@contextmanager
def advisory_service() -> Iterator[str]:
    """The address of an OSV service that knows of one vulnerability."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Advisories)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        server.server_close()


class _Advisories(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        hit = asked["package"]["name"] == VULNERABLE
        advisory = {"id": ADVISORY, "summary": "holes", "aliases": [], "affected": []}
        answer = json.dumps({"vulns": [advisory]} if hit else {}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass
