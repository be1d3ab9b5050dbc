from __future__ import annotations

import json
import pickle
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_engine import SDK, ConfigError, OutOfMemory, PluginConfig, SDKError
from reference_engine.config import parse_size


def test_the_example_of_the_specification_is_accepted_as_object_and_as_text() -> None:
    """B1"""
    table = {"model_type": "v1.5", "sampler_config": {"algorithm": "DDIM"}, "memory_limit": "4GB"}
    config = PluginConfig.parse(table)
    assert (config.model_type, config.sampler.algorithm, config.memory_limit) == ("v1.5", "DDIM", 4 * 2**30)
    assert PluginConfig.parse(json.dumps(table)) == config == PluginConfig.parse(None)


def test_every_mistake_is_reported_at_once_with_a_suggestion() -> None:
    """B1"""
    table = {
        "model_typ": "v1.5",
        "memory_limit": "a lot",
        "sampler_config": {"algorithm": "Eular", "eta": 0},
        "device": "gpu",
        "threads": 0,
        "watermark_payload": "ffffffff",
        "model": {"sha256": "abc", "file": "x"},
    }
    with pytest.raises(ConfigError) as caught:
        PluginConfig.parse(table)
    told = caught.value.mistakes
    assert caught.value.code == "ERR_INVALID_CONFIG"
    for key in (
        "model_typ",
        "memory_limit",
        "sampler_config.algorithm",
        "device",
        "threads",
        "watermark_payload",
    ):
        assert sum(line.startswith(f"{key}:") for line in told) == 1
    assert {line.split(":")[0] for line in told} >= {"model.path", "model.sha256", "model.file"}
    assert 'Did you mean "model_type"?' in caught.value.message
    assert 'Did you mean "Euler"?' in caught.value.message


def test_a_parameter_of_another_sampler_is_refused() -> None:
    """B3"""
    with pytest.raises(ConfigError, match="Euler takes algorithm, use_karras_sigmas"):
        PluginConfig.parse({"sampler_config": {"algorithm": "Euler", "eta": 0.5}})
    with pytest.raises(ConfigError, match="from 0 to 1"):
        PluginConfig.parse({"sampler_config": {"algorithm": "DDIM", "eta": 2}})


@pytest.mark.parametrize("text", ["[1]", "{", '"v1.5"', "null"])
def test_text_that_is_no_json_object_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="JSON"):
        PluginConfig.parse(text)


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("3GB", 3 * 2**30),
        ("512MB", 2**29),
        ("1.5 GiB", 3 * 2**29),
        ("2g", 2**31),
        (4096, 4096),
        ("4096", 4096),
    ],
)
def test_memory_limits_are_read_as_written(written: object, size: int) -> None:
    """B4"""
    assert parse_size(written) == size


@pytest.mark.parametrize("written", ["0GB", -1, 0, True, 2.5, None, "GB", "4 XB", "-3GB"])
def test_a_memory_limit_that_means_nothing_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse_size(written)


def test_v1_4_warns_and_names_v1_5() -> None:
    """D3"""
    with pytest.warns(FutureWarning, match=r"no longer maintained.*v1\.5"):
        plugin = SDK.create_plugin({"model_type": "v1.4"})
    assert any("v1.5" in line for line in plugin.config.warnings)


def test_v1_5_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert SDK.create_plugin({"model_type": "v1.5"}).config.warnings == ()


def test_errors_survive_a_pickle_with_code_and_remedies() -> None:
    for error in (ConfigError("It", ["a: wrong.", "b: wrong."], ["do this"]), OutOfMemory("too much")):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert (again.code, again.message, again.remedies) == (error.code, error.message, error.remedies)
        assert str(again) == str(error)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
known_keys = st.sampled_from(
    [
        "model_type",
        "sampler_config",
        "memory_limit",
        "model",
        "device",
        "medvram",
        "sensitive_words",
        "threads",
    ]
)


@given(st.dictionaries(known_keys | st.text(), json_values, max_size=5))
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_any_json_object_is_either_a_config_or_a_config_error(table: dict[str, object]) -> None:
    try:
        assert isinstance(PluginConfig.parse(table), PluginConfig)
    except SDKError as error:
        assert error.code == "ERR_INVALID_CONFIG"
        assert error.remedies
