"""What the manifest says of a plugin's own samplers is checked before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from certify.candidate.manifest import Manifest, ManifestErrors, parse_manifest
from certify.candidate.manifest_samplers import Sampler
from tests.candidate.test_manifest import GOOD

ROW = '[[samplers]]\nname = "fast"\nentry = "inkwash.samplers:fast"\n'


def parsed(more: str, before: str = "") -> Manifest:
    return parse_manifest(f"{GOOD}{before}{ROW}{more}", "plugin.toml")


def mistake(more: str, before: str = "") -> str:
    with pytest.raises(ManifestErrors) as told:
        parsed(more, before)
    (one,) = told.value.mistakes
    return str(one)


@pytest.mark.parametrize(
    ("more", "algorithm", "draws_noise"),
    [
        ("", None, False),
        ("stochastic = true", None, True),
        ("order = 2.5", None, False),
        ('algorithm = "dpm++ 2m"', "DPM++ 2M Karras", False),
        ('algorithm = "Euler ancestral"', "Euler a", True),
        ('algorithm = "Euler a"\nstochastic = true', "Euler a", True),
        ('algorithm = "DDIM"\nparameters = { eta = 0.5 }', "DDIM", True),
        ('algorithm = "DDIM"\nparameters = { eta = 0 }', "DDIM", False),
        ('algorithm = "LMS"\nparameters = { order = 3, use_karras_sigmas = true }', "LMS", False),
    ],
)
def test_an_algorithm_says_whether_it_draws_noise_and_others_say_it_themselves(
    more: str, algorithm: str | None, draws_noise: bool
) -> None:
    (sampler,) = parsed(more).samplers
    assert (sampler.algorithm, sampler.draws_noise) == (algorithm, draws_noise)
    assert sampler.prediction_types == ("epsilon",)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('algorithm = "DPM++ 2N Karras"', 'Did you mean "DPM++ 2M Karras"?'),
        ('algorithm = "magic"', '"magic" is not one of DDIM, PNDM, Euler'),
        ('algorithm = "DDIM"\nparameters = { eta = 2 }', "eta: must be a number from 0 to 1, not 2"),
        ('algorithm = "DDIM"\nparameters = { etta = 1 }', "Did you mean"),
        ("parameters = { eta = 1 }", "parameters need an algorithm, but none is named"),
        ('algorithm = "Heun"\nstochastic = true', "with these parameters Heun draws no noise"),
        ('algorithm = "Euler a"\nstochastic = false', "with these parameters Euler a draws noise"),
        ('algorithm = "Heun"\norder = 2', "the order of an algorithm is known"),
        ("stochastic = true\norder = 2", "has no measurable order"),
        ("order = 0", "0 is out of range"),
        ('prediction_types = ["v"]', '"v" is not one of "epsilon", "v_prediction" or "sample"'),
        ('prediction_types = ["sample", "sample"]', '"sample" is listed twice'),
        ("prediction_types = []", "must not be empty"),
        ('prediction_type = "sample"', 'Did you mean "prediction_types"?'),
    ],
)
def test_a_mistake_is_told_in_plain_words(more: str, says: str) -> None:
    assert says in mistake(more)


def test_no_two_samplers_share_a_name() -> None:
    assert 'two samplers are named "fast"' in mistake("", ROW)


def test_every_key_of_a_sampler_is_in_the_docs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "plugin.md").read_text("utf-8")
    assert all(f"| `{name}` |" in text for name in Sampler.model_fields)
