"""Setup scripts: plain values are read, computed ones named, and what they do at install time is found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certify.instruments.code import check_source
from certify.instruments.code.source import Source, parse_source
from certify.instruments.packages.dependencies import read_dependencies
from certify.instruments.packages.setup_script import read_setup_config, read_setup_script


def script(body):
    return read_setup_script(("from setuptools import setup\n" + body).encode(), "setup.py")


def names(setup):
    return [row for row, _ in setup.requirements]


@pytest.mark.parametrize(
    "body",
    [
        "setup(install_requires=['a>=1', 'b'])",
        "NEEDS = ['a>=1', 'b']\nsetup(install_requires=NEEDS)",
        "A = ('a>=1',)\nsetup(install_requires=[*A, 'b'])",
        "setup(install_requires=['a>=1'] + ['b'])",
        "setup(**{'install_requires': 'a>=1\\nb'})",
        "OPTIONS = {'install_requires': ['a>=1', 'b'], 'name': 'x'}\nsetup(**OPTIONS)",
        "setup(setup_requires=['a>=1'], extras_require={'more': ['b']})",
    ],
)
def test_plain_values_are_read(body):
    assert (names(script(body)), script(body).computed) == (["a>=1", "b"], ())


@pytest.mark.parametrize(
    ("body", "computed"),
    [
        ("setup(install_requires=open('r.txt').read().split())", "install_requires"),
        ("NEEDS = ['a']\nNEEDS.append('b')\nsetup(install_requires=NEEDS)", "install_requires"),
        ("NEEDS = ['a']\nNEEDS += ['b']\nsetup(install_requires=NEEDS)", "install_requires"),
        ("NEEDS = ['a']\nif x:\n    NEEDS = ['b']\nsetup(install_requires=NEEDS)", "install_requires"),
        ("setup(install_requires=['a' + VERSION])", "install_requires"),
        ("setup(extras_require={'x': needed()})", "extras_require"),
        ("setup(**options())", "**"),
        ("setup(**{name: ['a'] for name in NAMES})", "**"),
    ],
)
def test_what_code_puts_together_is_named_and_not_guessed(body, computed):
    assert [name for name, _ in script(body).computed] == [computed]


def test_lines_and_links_are_kept():
    found = script(
        "setup(\n    install_requires=[\n        'a',\n    ],\n    dependency_links=['https://x.test'],\n)"
    )
    assert found.requirements == (("a", 4),)
    assert found.links == (("https://x.test", 6),)


def test_another_function_of_that_name_declares_nothing():
    assert script("class T:\n    def f(self): self.setup(install_requires=['a'])").requirements == ()


def test_a_script_that_is_no_python_is_told():
    assert "setup.py" not in script("setup(").problem
    assert script("setup(").problem


@given(st.text(max_size=200))
def test_no_text_trips_the_readers(text):
    for found in (read_setup_config(text), script(text)):
        assert (found.requirements, found.links, found.computed) == ((), (), ())


@given(st.text(max_size=100))
def test_of_setup_cfg_nothing_is_declared_but_what_stands_in_it(text):
    found = read_setup_config("[options]\ninstall_requires = " + text)
    assert found.problem == "" or found.requirements == ()
    assert all(row in text and row == row.strip() != "" for row, _ in found.requirements)


def test_the_options_of_setup_cfg_are_read():
    found = read_setup_config(
        "[metadata]\nname = x\n[options]\ninstall_requires =\n    a>=1\n    b; python_version < '3.12'\n"
        "[options.extras_require]\nmore = c; d\nlinted = file: dev.txt\n"
    )
    assert names(found) == ["a>=1", "b; python_version < '3.12'", "c", "d"]
    assert read_setup_config("no section").problem


def read(folder, **files):
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    found = read_dependencies(folder, files)
    return [row.name for row in found.declared], [(row.rule, row.file) for row in found.findings]


DYNAMIC = '[project]\nname = "a"\ndynamic = ["dependencies"]\n'
SETUP = "from setuptools import setup\n"


def test_dependencies_that_are_left_to_the_script_are_told_by_it(tmp_path):
    files = {"pyproject.toml": DYNAMIC, "setup.py": SETUP + "setup(install_requires=['torch'])\n"}
    assert read(tmp_path, **files) == (["torch"], [])
    files["setup.py"] = SETUP + "setup(install_requires=needed())\n"
    assert read(tmp_path, **files) == ([], [("dynamic", "setup.py")])
    files["setup.py"] = SETUP + "setup()\n"
    assert read(tmp_path, **files) == ([], [("dynamic", "pyproject.toml")])


def test_setuptools_may_name_the_file_that_tells_them(tmp_path):
    table = DYNAMIC + '[tool.setuptools.dynamic]\ndependencies = { file = ["needs.in"] }\n'
    assert read(tmp_path, **{"pyproject.toml": table, "needs.in": "torch>=2,<3\n"}) == (["torch"], [])
    (tmp_path / "needs.in").unlink()
    assert read(tmp_path, **{"pyproject.toml": table}) == ([], [("unreadable", "pyproject.toml")])


def test_places_that_a_script_names_are_judged_as_any(tmp_path):
    body = "setup(install_requires=['x @ https://x.test/x.whl', '=broken'], dependency_links=['https://x.test'])\n"
    assert read(tmp_path, **{"setup.py": SETUP + body})[1] == [
        ("direct-url", "setup.py"),
        ("invalid-requirement", "setup.py"),
        ("foreign-index", "setup.py"),
    ]


def acts(body, file="setup.py"):
    source = parse_source((SETUP + body).encode(), file)
    assert isinstance(source, Source)
    return [(row.band, row.message) for row in check_source(source) if row.rule == "install-hook"]


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("import subprocess\nsubprocess.run(['make'])\n", "subprocess.run()"),
        ("import os\nos.system('make')\n", "os.system()"),
        (
            "import urllib.request as u\nu.urlretrieve('https://x.test/w', 'w')\n",
            "urllib.request.urlretrieve()",
        ),
        ("setup(cmdclass={'install': Mine})\n", "cmdclass"),
        (
            "from setuptools.command.install import install\nclass Mine(install): pass\n",
            "the command Mine in place of setuptools.command.install.install",
        ),
    ],
)
def test_what_runs_when_it_is_installed_is_found(body, what):
    assert acts(body) == [("B", f"{what} runs while the package is installed")]
    assert acts(body, "plugin.py") == []


@pytest.mark.parametrize(
    "body",
    [
        "setup(name='x', cmdclass={})\n",
        "from pathlib import Path\nsetup(long_description=Path('README.md').read_text())\n",
        "from setuptools import Extension\nsetup(ext_modules=[Extension('x', ['x.c'])])\n",
    ],
)
def test_a_script_that_only_declares_is_left_alone(body):
    assert acts(body) == []


def test_a_script_that_installs_packages_rejects():
    source = parse_source(
        (SETUP + "import os\nos.system('pip install thief')\nsetup()\n").encode(), "setup.py"
    )
    assert isinstance(source, Source)
    assert {row.band for row in check_source(source) if row.rule == "runtime-install"} == {"A"}
