from __future__ import annotations

import json
import subprocess
import sys

HEAVY = ("torch", "diffusers", "transformers", "cv2", "imwatermark", "PIL", "numpy")


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
