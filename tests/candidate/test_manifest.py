"""The form of plugin.toml: every mistake at once, each with its line, in plain words."""

from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from certify.candidate.manifest import SCHEMA_FILE, Manifest, ManifestErrors, parse_manifest, schema_text
from certify.candidate.manifest_errors import Mistake, dotted
from certify.candidate.toml_lines import NotToml, parse

GOOD = """\
schema = 1
[plugin]
name = "inkwash"
version = "1.0.0"
sdk = ">=1.0,<2"
entry = "inkwash.plugin:create"
model_types = ["v1.5"]
generates_faces = false
[config]
sampler_config = { algorithm = "DDIM" }
[platforms]
os = ["linux", "windows", "macos"]
python = ">=3.10"
[licence]
expression = "MIT"
files = ["LICENSE"]
[[loras]]
name = "ink-lines"
file = "loras/ink-lines.safetensors"
source = "made for this plugin"
sha256 = "AA00000000000000000000000000000000000000000000000000000000000000"
base = "v1.5"
licence = "CC-BY-4.0"
licence_file = "loras/LICENSE"
commercial = true
[commercial]
paid = false
revenue_tier = "up-to-50k"
"""


def mistakes(text: str, table: tuple[str, ...] = ()) -> tuple[Mistake, ...]:
    with pytest.raises(ManifestErrors) as caught:
        parse_manifest(text, "plugin.toml", table)
    return caught.value.mistakes


def with_line(key: str, new: str) -> str:
    """The good manifest with its first line about `key` replaced (or gone)."""
    text, count = re.subn(rf"^{key} = .*\n", lambda _: new and new + "\n", GOOD, count=1, flags=re.MULTILINE)
    assert count == 1
    return text


def test_a_good_manifest_is_read_with_its_defaults() -> None:
    manifest = parse_manifest(GOOD, "plugin.toml")
    assert manifest.schema_ == 1
    assert manifest.plugin.kind == "native"
    assert manifest.config == {"sampler_config": {"algorithm": "DDIM"}}
    assert manifest.loras[0].sha256.startswith("aa00")
    assert manifest.models == ()
    assert (manifest.marks.invisible, manifest.marks.payload, manifest.marks.metadata) == ("none", None, ())
    assert manifest.network.hosts == ()


@pytest.mark.parametrize(
    ("key", "new", "told"),
    [
        ("schema", "schema = 2", "1: schema: 2 is out of range"),
        ("schema", "schema = true", "1: schema: must be a whole number, not a boolean"),
        ("version", "", "2: plugin.version is missing. The plugin's version as of PEP 440"),
        ("version", "version = 1.0", "4: plugin.version: must be text in quotes, not a number with"),
        ("version", 'version = "one"', '4: plugin.version: "one" is not a version'),
        ("name", 'name = "Ink Wash"', '3: plugin.name: "Ink Wash" does not have the required form'),
        ("sdk", 'sdk = "1.0 up"', '5: plugin.sdk: "1.0 up" is not a set of version specifiers'),
        ("entry", 'entry = "inkwash.plugin"', "6: plugin.entry: "),
        ("entry", "", "2: plugin.entry is missing"),
        ("model_types", "model_types = []", "7: plugin.model_types: must not be empty"),
        ("model_types", 'model_types = ["v15"]', '"v1.4", "v1.5" or "v2.0". Did you mean "v1.5"?'),
        ("model_types", 'model_types = ["v1.5", "v1.5"]', '"v1.5" is listed twice'),
        ("generates_faces", 'generates_faces = "no"', "8: plugin.generates_faces: must be true or false"),
        ("generates_faces", "generates_faces = false\ncache_entries = -1", "9: plugin.cache_entries: -1"),
        ("generates_faces", "generates_faces = false\nlanguages = ['e']", '9: plugin.languages[0]: "e"'),
        ("sampler_config", "day = 2026-01-01", "10: config.day: must be text, a number"),
        ("sampler_config", "n = [nan]", "config: the number is not finite"),
        ("python", 'pyton = ">=3.10"', '13: platforms.pyton: unknown key. Did you mean "python"?'),
        ("os", 'os = ["win"]', '12: platforms.os[0]: "win" is not one of "linux"'),
        ("expression", 'expression = ""', "15: licence.expression: must not be empty"),
        ("files", 'files = ["/LICENSE"]', '16: licence.files[0]: "/LICENSE" is an absolute path'),
        ("files", 'files = ["C:/x"]', "is an absolute path"),
        ("files", 'files = ["a/../../x"]', "is outside the plugin"),
        ("files", "files = ['a\\b']", "has a backslash"),
        ("files", 'files = ["a//b"]', "is not a plain relative path"),
        ("files", 'files = "LICENSE"', "16: licence.files: must be an array, not text"),
        ("base", "", "17: loras[0].base is missing"),
        ("file", "", "17: loras[0].url: neither a file nor a url is given"),
        ("base", 'base = "v1.5"\nurl = "https://x.org/a"', "loras[0].url: a file and a url are given"),
        ("base", 'base = "v1.5"\nurl = "x.org"', '23: loras[0].url: "x.org" does not have the required form'),
        ("paid", "paid = 0", "27: commercial.paid: must be true or false, without quotes, not a number"),
        ("revenue_tier", 'revenue_tier = "up-to-50K"', 'Did you mean "up-to-50k"?'),
        ("revenue_tier", 'revenue_tier = "above-50k"\n[marks]\npayload = "abc"', "30: marks.payload"),
        ("revenue_tier", 'revenue_tier = "above-50k"\n[marks]\ninvisible = "dwt"', '"dwtDct"'),
        ("revenue_tier", 'revenue_tier = "above-50k"\n[network]\nhosts = ["http://a"]', "30: network"),
        ("revenue_tier", 'revenue_tier = "above-50k"\n[licens]', 'Did you mean "licence"?'),
        ("revenue_tier", 'revenue_tier = "above-50k"\n[[models]]\nname = "x"', "29: models[0].sha256"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_and_what_to_do(key: str, new: str, told: str) -> None:
    with pytest.raises(ManifestErrors) as caught:
        parse_manifest(with_line(key, new), "plugin.toml")
    assert told in caught.value.message
    assert caught.value.message.startswith("plugin.toml:")


def test_all_mistakes_are_told_at_once_in_the_order_of_their_lines() -> None:
    text = (
        GOOD.replace("version =", "versoin =").replace('"v1.5"]', '"v3"]').replace("paid = false", "paid = 1")
    )
    found = mistakes(text)
    assert [(mistake.line, mistake.key) for mistake in found] == [
        (2, "plugin.version"),
        (4, "plugin.versoin"),
        (7, "plugin.model_types[0]"),
        (27, "commercial.paid"),
    ]
    assert str(found[1]) == 'plugin.toml:4: plugin.versoin: unknown key. Did you mean "version"?'
    assert str(found[0]).startswith("plugin.toml:2: plugin.version is missing. ")


def test_an_empty_manifest_names_every_table_that_must_be_there() -> None:
    assert {mistake.key for mistake in mistakes("")} == {
        "schema",
        "plugin",
        "platforms",
        "licence",
        "commercial",
    }


def test_a_pipeline_needs_no_entry() -> None:
    text = with_line("entry", 'kind = "diffusers-pipeline"')
    assert parse_manifest(text, "plugin.toml").plugin.entry is None


def test_control_characters_of_a_manifest_never_reach_the_terminal() -> None:
    (mistake,) = mistakes(GOOD + '"\\u001b[2J" = "x"\n')
    assert str(mistake).isprintable()


def test_a_syntax_mistake_is_told_with_its_line() -> None:
    (mistake,) = mistakes('schema = 1\n[plugin]\nname = "ink\n')
    assert mistake.line == 3
    assert mistake.message.startswith("not valid TOML: ")


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 100_000, "a = " + "9" * 10_000, ".".join("a" * 50_000) + " = 1"],
    ids=["nested", "long number", "dotted"],
)
def test_texts_made_to_exhaust_a_parser_are_mistakes_and_cheap(text: str) -> None:
    started = time.process_time()
    (mistake,) = mistakes(text)
    assert mistake.message.startswith("not valid TOML: ")
    assert len(str(mistake)) < 400
    assert time.process_time() - started < 1


def test_a_table_of_pyproject_is_read_and_its_mistakes_carry_the_whole_key() -> None:
    table = ("tool", "certify", "plugin")
    lines = GOOD.replace("[[", "[[tool.certify.plugin.").replace("\n[", "\n[tool.certify.plugin.")
    text = "[project]\nname = 'x'\n[tool.certify.plugin]\n" + lines.replace(
        "[tool.certify.plugin.[tool.certify.plugin.", "[[tool.certify.plugin."
    )
    assert parse_manifest(text, "pyproject.toml", table).plugin.name == "inkwash"
    (mistake,) = mistakes(text.replace("paid = false", "piad = false\npaid = true"), table)
    assert (mistake.key, mistake.line) == ("tool.certify.plugin.commercial.piad", 30)


def test_a_missing_table_of_pyproject_is_a_mistake() -> None:
    (mistake,) = mistakes("[tool.certify]\n", ("tool", "certify", "plugin"))
    assert (mistake.line, mistake.message) == (1, "the table [tool.certify.plugin] is missing or empty")


def test_the_published_schema_is_that_of_the_models() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), (
        "run: python -m certify.candidate.manifest"
    )


def test_every_key_of_the_published_schema_is_described() -> None:
    schema = json.loads(schema_text())
    tables = [schema, *(table for table in schema["$defs"].values() if "properties" in table)]
    undescribed = [
        name
        for table in tables
        for name, key in table["properties"].items()
        if not {"description", "$ref"} & set(key)
    ]
    assert undescribed == []
    assert "null" not in schema_text()
    assert set(Manifest.model_json_schema()["properties"]) == set(schema["properties"])


# --- the line index ---


def test_lines_are_found_in_every_way_to_write_toml() -> None:
    text = '''schema = 1 # [not.a.table]
[ plugin . "x.y" ]
text = """a
[b]
"quoted\\""""""
a.b = [ 1, # ]
  \'\'\'
]\'\'\',
  {c = 2, d = ["}"]},
]
[[loras]]
name = 1
[[loras]]
name = 2
[loras.extra]
[[loras.extra.deep]]
k = 1979-05-27 07:32:00
'''
    _, lines = parse(text.replace("\n", "\r\n"))
    assert {path: lines.of(path) for path in WHERE} == WHERE


WHERE: dict[tuple[str | int, ...], int] = {
    ("schema",): 1,
    ("plugin", "x.y"): 2,
    ("plugin", "x.y", "text"): 3,
    ("plugin", "x.y", "a", "b", 0): 6,
    ("plugin", "x.y", "a", "b", 1): 7,
    ("plugin", "x.y", "a", "b", 2, "d", 0): 9,
    ("plugin", "x.y", "missing"): 2,
    ("loras", 0, "name"): 12,
    ("loras", 1): 13,
    ("loras", 1, "name"): 14,
    ("loras", 1, "extra", "deep", 0, "k"): 17,
    ("nowhere",): 1,
}


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from([*"a.=[]{}\"'#\n,\\1 ", '"""', "'''", "[[", "]]", "a = ", "b.c = ", "[d]\n"]),
        max_size=14,
    )
)
@example(["a = ", '"""', '"', "x", "\\", '"', '"""', '"', "\n", "[[", "a"])
def test_whatever_is_toml_has_lines_and_the_rest_is_told(parts: list[str]) -> None:
    text = "".join(parts)
    try:
        content, lines = parse(text)
    except NotToml as error:
        assert 1 <= error.line <= text.count("\n") + 1
    else:
        last = text.count("\n") + 1
        assert all(1 <= lines.of((key,)) <= last and key in text for key in content)


def test_a_path_is_written_as_in_toml() -> None:
    assert dotted(("loras", 0, "sha256")) == "loras[0].sha256"
    assert dotted(("plugin", "x.y")) == 'plugin."x.y"'
