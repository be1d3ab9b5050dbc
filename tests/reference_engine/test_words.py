# ruff: noqa: RUF001, since look-alike characters are what is tested
"""The word filter, with made-up harmless words in the four languages that a store asks for."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_engine import SDK, ConfigError, InvalidPrompt, words
from reference_engine.words import SENSITIVE_WORDS, WordFilter, folded, read_word_list

MARKERS = ("zorbleflux", "blim plock", "蓝蕉魔", "ムニャポン", "꾸앙랩", "금지어", "禁止")
FILTER = WordFilter(MARKERS)

WRITTEN_OUT = {
    "a zorbleflux at dawn": "zorbleflux",
    "ZorbleFlux!": "zorbleflux",
    "画一个zorbleflux的家": "zorbleflux",
    "a blim  plock": "blim plock",
    "画一个蓝蕉魔在花园里": "蓝蕉魔",
    "森のムニャポンの家": "ムニャポン",
    "숲속의꾸앙랩이 걷는다": "꾸앙랩",
    "그것은 금지어입니다": "금지어",
    "严禁止步": "禁止",
}


@pytest.mark.parametrize(("prompt", "word"), WRITTEN_OUT.items())
def test_a_word_is_found_inside_a_sentence_of_its_language(prompt: str, word: str) -> None:
    """B6"""
    assert FILTER.find(prompt) == word


DRESSED = {
    "decomposed": ("숲속의 " + unicodedata.normalize("NFD", "꾸앙랩"), "꾸앙랩"),
    "decomposed kana": (unicodedata.normalize("NFD", "森のムニャポン"), "ムニャポン"),
    "half-width kana": ("森のﾑﾆｬﾎﾟﾝ", "ムニャポン"),
    "hiragana": ("森のむにゃぽん", "ムニャポン"),
    "full-width letters": ("a ｚｏｒｂｌｅＦＬＵＸ", "zorbleflux"),
    "mathematical letters": ("a 𝐳𝐨𝐫𝐛𝐥𝐞𝐟𝐥𝐮𝐱", "zorbleflux"),
    "zero-width space": ("a zor\u200bble\u200bflux", "zorbleflux"),
    "zero-width in Chinese": ("蓝\u200b蕉\u200d魔", "蓝蕉魔"),
    "soft hyphen, direction marks": ("a zor\u00adble\u202eflux", "zorbleflux"),
    "variation selectors": ("蓝\ufe00蕉\U000e0100魔", "蓝蕉魔"),
    "Hangul filler": ("꾸\u3164앙\uffa0랩", "꾸앙랩"),
    "struck through": ("a " + "\u0336".join("zorbleflux"), "zorbleflux"),
    "a mark set apart": ("森のムニャホ\u200b\u309aン", "ムニャポン"),
    "spaced out": ("a z o r b l e f l u x", "zorbleflux"),
    "dotted": ("a z.o.r.b.l.e.f.l.u.x", "zorbleflux"),
    "starred": ("a z*o*r*b*l*e*f*l*u*x", "zorbleflux"),
    "spaced out in Chinese": ("画一个蓝 蕉 魔", "蓝蕉魔"),
    "ideographic spaces": ("画一个蓝\u3000蕉\u3000魔在", "蓝蕉魔"),
    "spaced out in Japanese": ("森のム・ニ・ャ・ポ・ン", "ムニャポン"),
    "spaced out in Korean": ("숲속의 꾸-앙-랩 이", "꾸앙랩"),
    "two letters, spaced out": ("画 禁 止 牌", "禁止"),
    "a phrase spaced out": ("b l i m p l o c k", "blim plock"),
    "dotted capital I": ("a ZORBLEFLUX".replace("F", "\uff26"), "zorbleflux"),
}


@pytest.mark.parametrize("kind", DRESSED)
def test_a_word_is_found_however_it_is_dressed_up(kind: str) -> None:
    """B6"""
    prompt, word = DRESSED[kind]
    assert FILTER.find(prompt) == word


SCRIPTS = {
    "traditional for simplified": ("畫一個藍蕉魔在花園裡", "蓝蕉魔"),
    "simplified for traditional": ("画一个红龙鸟", "紅龍鳥"),
    "both mixed": ("紅龙鳥", "紅龍鳥"),
    "one of two traditional forms": ("白頭髮怪", "白头发怪"),
    "the other of the two": ("白頭發怪", "白头发怪"),
    "rewritten, and set apart": ("藍 蕉 魔", "蓝蕉魔"),
    "rewritten, and hidden": ("藍\u200b蕉魔", "蓝蕉魔"),
    "a compatibility ideograph": ("蓝蕉魔 \uf907\u7537", "龜男"),
}


@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_word_is_found_in_the_other_chinese_script(kind: str) -> None:
    """B6"""
    prompt, word = SCRIPTS[kind]
    assert WordFilter((word,)).find(prompt) == word


def test_default_words_are_found_in_either_script_whichever_the_list_has() -> None:
    pairs = {"儿童色情": "兒童色情", "人兽性交": "人獸性交", "尸奸": "屍姦", "屍奸": "尸姦"}
    for one, other in pairs.items():
        assert WordFilter(SENSITIVE_WORDS).find(f"画{one}图")
        assert WordFilter((one,)).find(f"畫{other}圖") == one
        assert WordFilter((other,)).find(f"画{one}图") == other


def test_each_character_is_in_one_group_and_folding_settles_at_once() -> None:
    letters = words._letters()
    assert len(letters) > 6000
    assert not set(letters) & set(letters.values())
    for form in map(chr, letters):
        assert folded(folded(form)) == folded(form)


INNOCENT = [
    "zorblefluxes and a megazorbleflux",
    "zorble flux",
    "a blimp lock",
    "blim, plock",
    "蓝色的香蕉和魔术师",
    "蓝，蕉，魔",
    "蓝、蕉、魔",
    "禁煙と停止",
    "使用を厳禁。止まれ",
    "严禁 止步",
    "ムニャムニャとポン酢",
    "꾸준히 앙코르 랩",
    "출입 금지 어린이 구역",
    "지금 지어진 집",
    "藍色的香蕉和魔術師",
    "藍，蕉，魔",
    "a red fox, 红狐, 赤い狐, 붉은 여우",
    "",
]


@pytest.mark.parametrize("prompt", INNOCENT)
def test_an_innocent_text_with_the_same_letters_passes(prompt: str) -> None:
    assert FILTER.find(prompt) is None


@pytest.mark.parametrize(
    "prompt",
    [
        "children play in a park",
        "수간호사",
        "人兽交流",
        "人獸交流",
        "a snuffbox",
        "裸麦畑",
        "兒童節的色彩",
        "儿童节的色彩",
        "尸体防腐",
        "強姦犯被捕",
    ],
)
def test_the_default_list_lets_its_neighbours_pass(prompt: str) -> None:
    assert WordFilter(SENSITIVE_WORDS).find(prompt) is None


@given(st.text(), st.text())
def test_a_word_is_found_whatever_stands_around_it(before: str, after: str) -> None:
    """B6"""
    assert WordFilter(("needle",)).find(f"{before} needle {after}") == "needle"


@given(st.sampled_from(MARKERS), st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_the_normal_form_makes_no_difference(word: str, form: Literal["NFC", "NFD", "NFKC", "NFKD"]) -> None:
    assert FILTER.find(unicodedata.normalize(form, f"画{word}")) == word or word.isascii()
    assert folded(unicodedata.normalize(form, word)) == folded(word)


def refused(prompt: str, **config: object) -> bool:
    try:
        SDK.check_request(prompt, width=64, height=64, config=config)
    except InvalidPrompt as error:
        assert error.code == "ERR_INVALID_PROMPT"
        return True
    return False


def test_a_word_list_replaces_the_default_one_and_sensitive_words_add_to_it(tmp_path: Path) -> None:
    """B6"""
    file = tmp_path / "words.txt"
    file.write_text("\ufeff# made up\nzorbleflux\n\n 蓝蕉魔 \n", "utf-8")
    assert read_word_list(file) == ("zorbleflux", "蓝蕉魔")
    for config in ({"word_list": str(file)}, {"word_list": ["zorbleflux", "蓝蕉魔"]}):
        assert refused("画蓝蕉魔", **config)
        assert not refused("a snuff film", **config)
        assert refused("꾸앙랩", **config, sensitive_words=["꾸앙랩"])
    assert refused("a snuff film", sensitive_words=["꾸앙랩"])
    assert refused("a snuff film", word_list="default")
    assert not refused("a snuff film", word_list=[])


def test_a_word_list_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """B1"""
    (tmp_path / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    wrong = (str(tmp_path / "absent.txt"), str(tmp_path / "latin.txt"), 5, ["a", " "], [1], "")
    for value in wrong:
        with pytest.raises(ConfigError, match="word_list") as caught:
            SDK.create_plugin({"word_list": value})
        assert len(caught.value.mistakes) == 1


def test_the_refusal_names_the_word_as_the_list_has_it() -> None:
    with pytest.raises(InvalidPrompt, match='"ムニャポン"'):
        SDK.check_request("ﾑﾆｬﾎﾟﾝ", width=64, height=64, config={"word_list": ["ムニャポン"]})
