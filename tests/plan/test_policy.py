"""Policies are data with sources, and a mistake in one is told."""

import re

import pytest

from certify.errors import UserError
from certify.instruments.marks.layers import LAYERS, Layer
from certify.plan.policy import FOLDER, Judgement, judge, load_policy, rows

NAMES = sorted(path.stem for path in FOLDER.glob("*.toml"))


def layers(**states):
    """Every layer present, unless told otherwise."""
    stated = {name: states.get(name, "present") for name in LAYERS}
    return {name: Layer(name, state, reason="so it is") for name, state in stated.items() if state != "gone"}


def test_there_are_the_four_policies():
    assert NAMES == ["cn-2025", "eu-2026", "store-default", "us-ca-2026"]


@pytest.mark.parametrize("name", NAMES)
def test_every_policy_has_a_dated_source_for_every_layer(name):
    loaded = load_policy(name)
    assert loaded.policy.name == name
    assert sorted(layer for layer, *_ in rows(loaded.policy)) == sorted(set(LAYERS) - {"tool"})
    assert all(source and read for _, _, source, read in rows(loaded.policy))
    assert re.fullmatch(rf"{name} 1 \(sha256:[0-9a-f]{{64}}\)", loaded.label)
    assert judge(loaded.policy, layers()) == Judgement((), ())


@pytest.mark.parametrize(
    ("name", "lacking"),
    [
        ("store-default", "invisible"),
        ("cn-2025", "label"),
        ("cn-2025", "aigc"),
        ("eu-2026", "credentials"),
        ("eu-2026", "invisible"),
        ("us-ca-2026", "disclosure"),
    ],
)
def test_what_a_policy_requires_may_neither_lack_nor_be_taken_on_trust(name, lacking):
    policy = load_policy(name).policy
    assert lacking in judge(policy, layers(**{lacking: "absent"})).wrong[0]
    assert "malformed" in judge(policy, layers(**{lacking: "malformed"})).wrong[0]
    unknown = judge(policy, layers(**{lacking: "not-checkable-here"}))
    assert (unknown.wrong, len(unknown.open)) == ((), 1)


def test_one_of_several_is_enough_and_a_broken_one_beside_it_is_not():
    policy = load_policy("store-default").policy
    one = {"iptc": "absent", "aigc": "absent", "disclosure": "absent"}
    assert judge(policy, layers(**one)) == Judgement((), ())
    assert judge(policy, layers(**one, credentials="absent")).wrong
    assert judge(policy, layers(aigc="malformed")).wrong == ("aigc is malformed: so it is",)


def test_what_is_informational_decides_nothing():
    assert judge(load_policy("cn-2025").policy, layers(credentials="malformed")) == Judgement((), ())


def test_a_store_s_own_policy_is_read_with_its_trust_list(tmp_path):
    file = tmp_path / "mine.toml"
    text = (FOLDER / "eu-2026.toml").read_text("utf-8").replace('name = "eu-2026"', 'name = "mine"')
    file.write_text(text.replace("\n\n", '\nanchors = "roots.pem"\n\n', 1), "utf-8")
    with pytest.raises(UserError, match=r"roots\.pem cannot be read"):
        load_policy(str(file))
    (tmp_path / "roots.pem").write_text("one")
    first = load_policy(str(file))
    (tmp_path / "roots.pem").write_text("another")
    assert (first.policy.name, first.anchors) == ("mine", "one")
    assert load_policy(str(file)).digest != first.digest


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nonsense", "is not a policy"),
        ('name = "a"\nversion = 1\ntitle = "A"\n', "rule: Field required"),
        (
            'name = "a"\nversion = 1\ntitle = "A"\n[[rule]]\nlayers = ["aicg"]\ndemand = "required"\n'
            'source = "x"\nread = "2026-11-23"\n',
            'Did you mean "aigc"',
        ),
    ],
)
def test_a_mistake_in_a_policy_is_told(text, told, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(UserError) as caught:
        load_policy(str(file))
    assert told in str(caught.value)


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(UserError) as caught:
        load_policy("eu-2025")
    assert "eu-2026" in str(caught.value.hint)
