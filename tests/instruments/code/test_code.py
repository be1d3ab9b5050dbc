"""Code that a store does not let in, and the honest neighbour of each fault."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.instruments.code import check_source, of_family
from certify.instruments.code.rules import RULES
from certify.instruments.code.source import Source, parse_source
from tests.corpora import code as corpus

HEAD = (
    "import asyncio, builtins, os, pickle, re, subprocess, sys, pip, torch, yaml; "
    "import numpy as np; from subprocess import check_call\n"
)


def source_of(text: str | bytes) -> Source:
    parsed = parse_source(text, "plugin.py")
    assert isinstance(parsed, Source)
    return parsed


def check(text):
    source = parse_source(HEAD + text, "plugin.py")
    assert isinstance(source, Source)
    return sorted({(found.line - 1, found.rule) for found in check_source(source) if found.band != "C"})


def bands(text, declared=corpus.DECLARED):
    source = parse_source(text.encode(), "plugin.py")
    assert isinstance(source, Source), source
    return {found.band for found in check_source(source, declared)} - {"C"}


@pytest.mark.parametrize("name", corpus.BAD)
def test_what_proves_itself_is_in_band_a(name):
    assert "A" in bands(corpus.BAD[name])


@pytest.mark.parametrize("name", corpus.SUSPECT)
def test_a_sign_is_in_band_b_and_never_rejects(name):
    assert bands(corpus.SUSPECT[name]) == {"B"}


@pytest.mark.parametrize("name", corpus.GOOD)
def test_the_honest_neighbour_raises_nothing(name):
    assert bands(corpus.GOOD[name]) == set()


def test_every_rule_for_sources_is_met_by_a_case():
    met = set()
    for text in (*corpus.BAD.values(), *corpus.SUSPECT.values(), *corpus.GOOD.values()):
        source = source_of(text.encode())
        met |= {found.rule for found in check_source(source)}
    elsewhere = {rule for rule, row in RULES.items() if row.family in ("native-code", "hidden-files")}
    of_packages = {"not-reviewable", "not-parsed", "start-up-file", "script-eval", "install-hook"}
    unmet = set(RULES) - met - elsewhere - of_packages
    assert unmet == {"decrypts-credentials", "built-code-object", "invisible-character", "bidi-pair"}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("import win32crypt\nwin32crypt.CryptUnprotectData(b'')\n", "decrypts-credentials"),
        ("import types\ntypes.CodeType(*parts)\n", "built-code-object"),
        ("x = '\u200b\u200c\u200b\u200c\u200b\u200c\u200b\u200c'\n", "invisible-character"),
        ("x = '\u2067\u05d0\u2069'\n", "bidi-pair"),
    ],
)
def test_the_rarer_rules(text, rule):
    source = source_of(text)
    assert [found.rule for found in check_source(source) if found.band != "C"] == [rule]


def test_a_finding_tells_where_what_and_how_to_mend_it():
    source = source_of("import os\nos.system('pip install x')\n")
    [found] = of_family(check_source(source), {"runtime-install"})
    assert found.text == (
        "[A] plugin.py:2: installs packages while it runs (runtime-install)\n"
        "      > os.system('pip install x')\n"
        "      Declare it as a dependency of the package, and let the store install it."
    )


def test_what_stands_on_the_line_is_shown_harmless():
    source = source_of("x = '\u202e::set-output\x1b[31m'\n" + "y = '" + "z" * 500 + "'\n")
    [found] = check_source(source)
    assert "\\u{202e}" in found.snippet and "\\u{1b}" in found.snippet
    assert found.snippet.isprintable()


def test_what_is_hidden_in_a_text_is_told_at_the_line_of_the_text():
    found = check_source(source_of("\n" + corpus.BAD["nested-theft"]))
    assert {(one.line, one.rule) for one in found} >= {(3, "hidden-code"), (3, "credentials")}


def test_a_declared_host_is_no_finding_and_an_undeclared_one_is():
    text = "import requests\nrequests.get('https://cdn.a.test/x')\n"
    assert bands(text) == {"B"}
    assert bands(text, frozenset({"cdn.a.test"})) == set()


def test_an_address_that_is_only_named_is_information():
    source = source_of("PAGE = 'https://a.test/'\n")
    assert [(found.rule, found.band) for found in check_source(source)] == [("host-named", "C")]


@pytest.mark.parametrize(
    "line",
    [
        "subprocess.run([sys.executable, '-m', 'pip', 'install', name])",
        "subprocess.Popen('pip3 install ' + name)",
        "check_call(['uv', 'pip', 'install', '-q', 'x'])",
        "subprocess.call(['conda', '-y', 'install', 'x'])",
        "subprocess.run(['uv', 'add', 'x'])",
        "subprocess.run(f'{sys.executable} -m pip install {name}')",
        "pip.main(['install', 'x'])",
        "command = [sys.executable, '-m', 'pip', 'install', name]",
        "asyncio.create_subprocess_exec('pip', 'install', name)",
    ],
)
def test_an_install_at_run_time_is_found(line):
    assert check(line) == [(1, "runtime-install")]


def test_an_install_through_a_shell_is_both():
    assert check("os.system('pip install x')") == [(1, "runtime-install"), (1, "shell")]


@pytest.mark.parametrize(
    "line",
    [
        "eval(text)",
        "exec(text, {})",
        "compile(text, 'a', 'exec')",
        "builtins.eval(text)",
        "list(map(eval, texts))",
        "run = exec",
    ],
)
def test_code_made_from_values_is_found(line):
    assert check(line) == [(1, "dynamic-code")]


def test_a_method_or_a_nested_import_named_eval_is_no_excuse():
    text = "class A:\n    def eval(self): pass\ndef f():\n    from torch import compile as exec\nexec(text)"
    assert check(text) == [(5, "dynamic-code")]


@pytest.mark.parametrize(
    "line",
    [
        "pickle.load(stream)",
        "pickle.loads(data)",
        "pickle.Unpickler(stream)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=flag)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text, Loader=yaml.Loader)",
    ],
)
def test_loading_what_runs_code_is_found(line):
    assert check(line) == [(1, "unsafe-deserialisation")]


@pytest.mark.parametrize(
    "line", ["os.popen('ls')", "subprocess.run('ls', shell=True)", "subprocess.getoutput('ls')"]
)
def test_a_shell_is_found(line):
    assert check(line) == [(1, "shell")]


@pytest.mark.parametrize(
    "line",
    [
        "subprocess.run(['git', 'status'])",
        "print('run pip install inkwash first')",
        "hint = 'pip install inkwash'",
        "model.eval()",
        "torch.compile(model)",
        "re.compile(pattern)",
        "cursor.exec(query)",
        "eval('1 + 1')",
        "from torch import compile\ncompile(model)",
        "def compile(x): return x\ncompile(model)",
        "pickle.dump(value, stream)",
        "torch.load(path, weights_only=True)",
        "np.load(path)",
        "yaml.load(text, Loader=yaml.SafeLoader)",
        "yaml.safe_load(text)",
        "subprocess.run(['ls'], shell=False)",
        "words = ['pip', 'squeak', 'install']",
    ],
)
def test_the_honest_neighbour_passes(line):
    assert check(line) == []


HOSTILE = {
    "a long list": "subprocess.run(" + "[" * 90 + "'pip'," * 50_000 + "]" * 90 + ")",
    "a text that grows": "x = 'a'\n" + "x = x + x\n" * 200 + "getattr(os, x)()",
    "a name through names": "\n".join(f"a{n} = a{n + 1} + a{n + 1}" for n in range(300)) + "\neval(a0)",
    "a path of paths": "\n".join(f"p{n} = os.path.join(p{n + 1}, p{n + 1}, p{n + 1})" for n in range(40))
    + "\nopen(p0)",
    "a thousand repeats": "getattr(os, 'a' * 10**9)()\n" * 1000,
    "loops in loops": "exec([[[c for c in range(9)] for b in 'x' * 10**6] for a in 'x' * 10**6])",
    "many payloads": "".join(f"exec({f'print({n}) ' * 40!r})\n" for n in range(300)),
    "evals of one value": "x = [" + "a + b, " * 2000 + "]\n" + "eval(x)\n" * 2000,
    "lists in lists": ("[" * 90 + "'a', 'b'" + "]" * 90 + "\n") * 400,
    "a word that never ends": "import os\nos.environ.get('certify" + "_a" * 5000 + "!')\n",
    "a name that never ends": f"import requests\nrequests.get('{'a' * 19_000}')\nX = '{'b-' * 9_000}'\n",
    "one long line": "open(" + " / ".join(["'a'"] * 3000) + ")",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_source_costs_little_time(name):
    started = time.process_time()
    try:
        check(HOSTILE[name])
    except AssertionError:
        assert name == "one long line"  # too deep for the parser, which says so
    assert time.process_time() - started < 10


@pytest.mark.parametrize("name", ["evals of one value", "a path of paths", "many payloads"])
def test_what_is_too_much_to_work_out_is_not_cleared(name):
    assert "not-reviewable" in {rule for _, rule in check(HOSTILE[name])}


def test_texts_in_texts_in_texts_are_not_cleared():
    code = "x = 1"
    for _ in range(6):
        code = f"exec({code!r})"
    assert "not-reviewable" in {rule for _, rule in check(code)}


def test_a_bomb_of_nested_encodings_is_not_unpacked():
    import base64
    import zlib

    packed = base64.b64encode(zlib.compress(zlib.compress(bytes(1 << 28), 9), 9)).decode()
    started = time.process_time()
    check(f"import zlib, base64\nexec(zlib.decompress(zlib.decompress(base64.b64decode('{packed}'))))")
    assert time.process_time() - started < 5


@settings(deadline=None)
@given(st.text(alphabet="ab(),.[]='\"\n :eval", max_size=80))
def test_any_source_is_judged_without_an_exception(text):
    source = parse_source(text, "plugin.py")
    if not isinstance(source, Source):
        assert source.rule == "no-python"
        return
    found = check_source(source)
    assert found == sorted(found)
    assert all(one.file == "plugin.py" and 1 <= one.line <= len(text.split("\n")) for one in found)
    assert {one.rule for one in found} <= set(RULES)


WORDS = st.sampled_from(
    [
        *(
            "exec",
            "getattr",
            "__import__",
            "os",
            "chr",
            "base64.b64decode",
            "'os'",
            "b'x'",
            "1",
            "-1",
            "[::-1]",
        ),
        *(
            "(",
            ")",
            "[",
            "]",
            ",",
            "+",
            "*",
            "%",
            "/",
            ".join",
            ".decode",
            "for c in",
            "x",
            "=",
            "\n",
            "'%s'",
            "{}",
        ),
        *(
            "import os\n",
            "open",
            "'.ssh/id_rsa'",
            "lambda:",
            "f'{x}'",
            "0x10",
            "10**9",
            "map",
            ".format",
            "'w'",
        ),
    ]
)


@settings(deadline=None, max_examples=300)
@given(st.lists(WORDS, max_size=25).map("".join))
def test_any_row_of_words_is_judged_without_an_exception(text):
    source = parse_source(text, "plugin.py")
    if isinstance(source, Source):
        for found in check_source(source):
            assert found.rule in RULES
            assert found.snippet.isprintable()
