"""What the suite of marks is built from, and what it decides by itself."""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from certify.instruments.marks.pixels.payloads import payload_bits
from certify.measure.checks import Broken, NotEvidenced
from certify.measure.marks.run_images import FRESH, fresh_word, layers_of, made_of, with_usual_word
from certify.plan.catalogue import suites_root
from certify.plan.policy import load_policy
from certify.record.evidence import EvidenceBox
from certify.sandbox.host.faults import PluginError
from certify.sandbox.host.generation import Generation
from certify.sandbox.host.ledger import Ledger
from reference_engine.marking import Credentials, marked_png
from tests.instruments.marks.photographs import soft
from tests.measure.marks.authority import make_authority


def suite(name: str) -> ModuleType:
    place = suites_root() / "marks" / f"test_{name}.py"
    spec = importlib.util.spec_from_file_location(f"watermark_{name}", place)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class ACandidate:
    """As much of a candidate as the marks ask for."""

    class manifest:
        class marks:
            invisible, payload, metadata = "lumaQim", None, ("iptc",)

        class plugin:
            generates_faces = False


def generation(seed: int = 1, requirement: str = "made.up", **marking: Any) -> Generation:
    png = marked_png(Image.fromarray(soft(seed, 96, 96)), **marking)
    import io

    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    return Generation({"prompt": str(seed)}, pixels, png, {}, 0.1, requirement)


def test_the_word_of_a_run_is_balanced_and_its_own() -> None:
    words = [fresh_word(str(seed)) for seed in range(50)]
    assert len(set(words)) == 50
    assert all(payload_bits(word).sum() == 32 for word in words)
    assert fresh_word("7") == fresh_word("7")


def test_images_with_the_word_of_the_run_are_judged_apart() -> None:
    ledger = Ledger(generations=[generation(1), generation(2, FRESH)])
    assert [one.requirement for one in with_usual_word(ledger)] == ["made.up"]
    with pytest.raises(NotEvidenced):
        with_usual_word(Ledger())


def test_a_plugin_that_refuses_everything_is_not_measured() -> None:
    def refuse(**_: Any) -> Generation:
        raise PluginError("no", "ValueError", "", "", "")

    with pytest.raises(NotEvidenced, match=r"see sdk\.sizes"):
        made_of(refuse, [{"prompt": "a"}])
    assert made_of(lambda **_: generation(), [{}, {}])


def test_the_layers_of_a_run_s_files() -> None:
    (layers,) = layers_of(ACandidate, [generation()], "")  # type: ignore[arg-type]
    assert layers["invisible"].state == layers["iptc"].state == "present"
    assert layers["label"].state == "not-checkable-here"


def judge_layers(generations: list[Generation], anchors: str, tmp_path: Any) -> None:
    policy = load_policy()
    loaded = type(policy)(policy.policy, policy.digest, anchors)
    test = suite("layers").test_no_layer_of_a_file_denies_another
    test(ACandidate, Ledger(generations=generations), loaded, EvidenceBox(tmp_path, "mark.layers-agree"))


def test_a_replayed_manifest_and_a_moved_one_break_the_layers(tmp_path: Any) -> None:
    pytest.importorskip("c2pa", reason="the extra c2pa")
    author = make_authority(tmp_path, "Author")
    keys, anchors = Credentials(author.chain, author.key), author.anchors.read_text()
    one, other = generation(1, credentials=keys), generation(2, credentials=keys)
    judge_layers([one, other], anchors, tmp_path)
    again = Generation(one.request, one.pixels, one.png, {}, 0.1, "made.up")
    with pytest.raises(AssertionError, match="on several images"):
        judge_layers([one, again], anchors, tmp_path)
    start = one.png.index(b"caBX") - 4
    length = 12 + int.from_bytes(one.png[start : start + 4], "big")
    bare = generation(3).png
    moved = bare[:33] + one.png[start : start + length] + bare[33:]
    with pytest.raises(AssertionError, match="broken content credentials"):
        judge_layers([Generation({}, generation(3).pixels, moved, {}, 0.1, "made.up")], anchors, tmp_path)


def test_fisher_s_exact_test_of_two_equal_groups() -> None:
    fisher = suite("entry_paths")._fisher
    assert fisher(6, 6, 6) == 1.0
    assert fisher(6, 0, 6) == pytest.approx(2 / 924)
    assert fisher(8, 3, 8) == pytest.approx(0.0256, abs=1e-3)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (["none"] * 12, NotEvidenced),
        (["face"] + ["none"] * 11, NotEvidenced),
        (["perhaps"] * 12, NotEvidenced),
        (["face"] * 6 + ["none"] * 6, AssertionError),
    ],
)
def test_faces_are_proven_by_many_images(
    seen: list[str], expected: type[Exception], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    faces = suite("faces")
    monkeypatch.setattr(faces, "faces_in", lambda images: seen[: len(images)])

    class Plugin:
        def load(self) -> None: ...

        def generate(self, **_: Any) -> Generation:
            return generation()

    class Drawn:
        def request(self, **more: Any) -> dict[str, Any]:
            return more

    with pytest.raises(expected) as caught:
        faces.test_a_plugin_whose_images_show_faces_says_so(
            ACandidate, Plugin(), Drawn(), EvidenceBox(tmp_path, "mark.faces-declared")
        )
    assert not isinstance(caught.value, Broken) or expected is AssertionError
