"""The hand-kept list of names is in form, and says where it is from."""

from __future__ import annotations

import copy
import json

import pytest

from certify.instruments.data.names import TABLE, main, mistakes, names_in

LISTS = json.loads(TABLE.read_text("utf-8"))


def test_the_list_is_in_form():
    assert mistakes(LISTS) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda table: table["popular"].append("NumPy"), "NumPy is not normalised"),
        (lambda table: table["popular"].append("numpy"), "popular: numpy is there twice"),
        (lambda table: table["popular"].reverse(), "popular is not sorted"),
        (lambda table: table["bad"].update(x={"versions": ">=1", "why": "y"}), "x: >=1 is no single release"),
        (lambda table: table["bad"].update(x={"versions": "", "why": " "}), "x needs versions and why"),
        (
            lambda table: table["bad"].update(numpy={"versions": "", "why": "y"}),
            "numpy is popular and wholly bad",
        ),
        (lambda table: table["about"].pop("read"), "about.read is missing"),
    ],
)
def test_what_is_out_of_form_is_told(change, told):
    table = copy.deepcopy(LISTS)
    change(table)
    assert told in mistakes(table)


def test_a_list_of_an_index_tells_what_is_not_on_it(tmp_path, capsys):
    names = [name for name in LISTS["popular"] if name != "numpy"]
    (tmp_path / "names").write_text("\n".join([*names, "Torch_Triton==3.0", "torchtriton 3.0"]), "utf-8")
    assert main([str(tmp_path / "names")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "numpy: on none of the lists",
        "torchtriton: reported as malicious, and on a list",
    ]


def test_names_are_read_from_lines_of_any_index():
    assert names_in(["Foo_Bar==1.0", "baz 2.0", "", "qux,3"]) == {"foo-bar", "baz", "qux"}
