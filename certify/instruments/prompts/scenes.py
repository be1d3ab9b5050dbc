"""Fresh prompts for each run, so that no plugin knows them in advance. All words here are the project's
own.
"""

from __future__ import annotations

import random

from certify.errors import did_you_mean

_SUBJECTS = {
    "en": (
        "a paper boat|an old lighthouse|a red fox|two herons|a clay teapot|a wooden bridge|"
        "a striped kite|a sleeping cat|a brass telescope|a bowl of plums|a stone well|a tall windmill"
    ),
    "zh": (
        "一只纸船|一座旧灯塔|一只红狐狸|两只白鹭|一把陶茶壶|一座木桥|一只条纹风筝|一只睡着的猫|"
        "一架黄铜望远镜|一碗李子|一口石井|一座高风车"
    ),
    "ja": (
        "紙の小舟|古い灯台|赤い狐|二羽の鷺|土の急須|木の橋|縞模様の凧|眠る猫|真鍮の望遠鏡|すももの鉢|"
        "石の井戸|背の高い風車"
    ),
    "ko": (
        "종이배 하나|오래된 등대|붉은 여우|왜가리 두 마리|흙으로 빚은 찻주전자|나무다리|줄무늬 연|"
        "잠든 고양이|놋쇠 망원경|자두 한 그릇|돌우물|키 큰 풍차"
    ),
}
LANGUAGES = tuple(_SUBJECTS)
_SETTINGS = {
    "en": (
        "in a quiet harbour|on a snowy hill|beside a mountain lake|under falling leaves|"
        "in a walled garden|at the edge of a desert|in morning fog|on a city roof|in a bamboo grove|"
        "by a railway station|after the rain|below the first stars"
    ),
    "zh": (
        "在安静的港口|在下雪的山坡上|在高山湖边|在飘落的树叶下|在围墙花园里|在沙漠边缘|在晨雾中|"
        "在城市屋顶上|在竹林里|在火车站旁|在雨后|在初升的星空下"
    ),
    "ja": (
        "静かな港で|雪の丘の上で|山の湖のほとりで|舞い落ちる葉の下で|塀に囲まれた庭で|砂漠の端で|"
        "朝霧の中で|街の屋根の上で|竹林の中で|駅のそばで|雨上がりに|一番星の下で"
    ),
    "ko": (
        "조용한 항구에서|눈 덮인 언덕 위에서|산속 호숫가에서|떨어지는 낙엽 아래에서|담장 안 정원에서|"
        "사막 끝에서|아침 안개 속에서|도시 지붕 위에서|대나무 숲에서|기차역 옆에서|비가 갠 뒤에|"
        "첫 별 아래에서"
    ),
}
_STYLES = {
    "en": (
        "watercolour|ink drawing|oil painting|woodcut|pencil sketch|soft pastel|"
        "long exposure photograph|paper collage"
    ),
    "zh": "水彩画|水墨画|油画|木刻版画|铅笔素描|柔和粉彩|长曝光照片|剪纸拼贴",
    "ja": "水彩画|墨絵|油絵|木版画|鉛筆のスケッチ|柔らかなパステル|長時間露光の写真|紙のコラージュ",
    "ko": "수채화|수묵화|유화|목판화|연필 스케치|부드러운 파스텔|장노출 사진|종이 콜라주",
}
_ORDERS = {  # Chinese, Japanese and Korean put the setting first
    "en": "{subject} {setting}, {style}",
    "zh": "{setting}的{subject}\uff0c{style}",
    "ja": "{setting}{subject}、{style}",
    "ko": "{setting} {subject}, {style}",
}
LANGUAGES = tuple(_ORDERS)

_SYLLABLES = {
    "en": "zor ble flux qui vand mox trel gwi pryx snod klu veb",
    "zh": "蓝 蕉 鹭 藓 榫 笙 鲸 苔 砚 蓑 蝉 棣",
    "ja": "ムニャ ポン ゾル ケピ ヌガ リョム バフ チェル ワモ ドゥク ソヌ ギャビ",
    "ko": "꾸앙 랩 뵤르 쟝 픅 뚜엘 갸봇 늄 쿠브 멧 죠락 훼",
}


def draw_prompt(rng: random.Random, language: str) -> str:
    """One of 1,152 prompts in `language` (en, zh, ja, ko; a region or script after it is ignored), drawn from
    `rng`.

    Raises `ValueError` for a language without words here.
    """
    base = _base(language)
    parts = {"subject": _SUBJECTS, "setting": _SETTINGS, "style": _STYLES}
    return _ORDERS[base].format(**{name: rng.choice(table[base].split("|")) for name, table in parts.items()})


def marker_word(rng: random.Random, language: str = "en") -> str:
    """A made-up harmless word, for a block list, as if it were sensitive. Raises `ValueError` as above."""
    return "".join(rng.sample(_SYLLABLES[_base(language)].split(), 4))


def _base(language: str) -> str:
    base = language.replace("_", "-").partition("-")[0].lower()
    if base not in LANGUAGES:
        raise ValueError(f'no prompts in language "{language[:40]}". {did_you_mean(base, LANGUAGES)}'.strip())
    return base
