from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

HEAVY = ("torch", "diffusers", "transformers", "cv2", "imwatermark", "PIL", "numpy")


ROOT = Path(__file__).parents[2]


def test_every_name_of_the_documented_public_api_exists() -> None:
    section = (ROOT / "docs" / "sdk.md").read_text("utf-8").partition("## Public API")[2]
    names = re.findall(r"^\| `(reference_engine[\w.]*)`", section, re.MULTILINE)
    assert {"reference_engine", "reference_engine.oracle", "reference_engine.marking"} <= set(names)
    for name in names:
        module = importlib.import_module(name)
        assert module.__all__ == list(dict.fromkeys(module.__all__))
        assert [public for public in module.__all__ if not hasattr(module, public)] == []


def loaded_after(code: str) -> list[str]:
    """The heavy libraries that a fresh Python has imported after running `code`."""
    probe = (
        f"{code}\nimport json, sys\nprint(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    command = [sys.executable, "-W", "ignore", "-c", probe]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(json.loads(answer.stdout))


def test_importing_the_sdk_imports_no_model_library() -> None:
    assert loaded_after("import reference_engine") == []


def test_creating_a_plugin_and_checking_a_request_import_no_model_library() -> None:
    code = (
        "from reference_engine import SDK\n"
        "SDK.create_plugin({'model_type': 'v1.4'})\n"
        "SDK.check_request('a lake', seed=1, width=64, height=64)"
    )
    assert loaded_after(code) == []


def test_delivering_an_image_loads_no_diffusion_library() -> None:
    code = (
        "from PIL import Image\n"
        "from reference_engine import SDK\n"
        "SDK.deliver(Image.new('RGB', (64, 64), 'gray'), prompt='a lake')"
    )
    assert not {"diffusers", "transformers"} & set(loaded_after(code))


def test_the_oracle_judges_without_torch() -> None:
    code = (
        "import numpy as np\n"
        "from reference_engine import oracle\n"
        "run = lambda network, noise, steps, seed: network(noise, 999)\n"
        "oracle.assess(run, 'DDIM', step_counts=(28,))\n"
        "oracle.assess_moments(run, 'Euler a')"
    )
    assert loaded_after(code) == ["numpy"]


def test_marking_and_reading_marks_need_neither_opencv_nor_the_library_of_marks() -> None:
    """E4: both work on a machine without libGL."""
    code = (
        "import numpy as np\n"
        "from PIL import Image\n"
        "from reference_engine.marking import PAYLOAD_BITS, mark\n"
        "from certify.instruments.marks.pixels.invisible import METHODS, read_mark\n"
        "marked = np.asarray(mark(Image.new('RGB', (128, 128), 'teal')))\n"
        "states = [read_mark(marked, PAYLOAD_BITS, method, crops=True).state for method in METHODS]\n"
        "assert states == ['present', 'absent', 'absent'], states"
    )
    assert loaded_after(code) == ["PIL", "numpy"]
