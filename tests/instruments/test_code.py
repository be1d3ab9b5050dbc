"""Code that a store does not let in, and the honest neighbour of each fault."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certify.instruments.code import check_source
from certify.instruments.source import Source, parse_source

HEAD = (
    "import asyncio, builtins, os, pickle, re, subprocess, sys, pip, torch, yaml; "
    "import numpy as np; from subprocess import check_call\n"
)


def check(text):
    source = parse_source(HEAD + text, "plugin.py")
    assert isinstance(source, Source)
    return sorted({(finding.line - 1, finding.rule) for finding in check_source(source)})


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
        "words = ['pip', 'squeak']",
    ],
)
def test_the_honest_neighbour_passes(line):
    assert check(line) == []


def test_a_hostile_source_costs_little_time():
    nested = "[" * 90 + "'pip'," * 50_000 + "]" * 90
    started = time.process_time()
    check(f"subprocess.run({nested})")
    assert time.process_time() - started < 5


@settings(deadline=None)
@given(st.text(alphabet="ab(),.[]='\"\n :eval", max_size=80))
def test_any_source_is_judged_without_an_exception(text):
    source = parse_source(text, "plugin.py")
    if isinstance(source, Source):
        check_source(source)
