"""A1: references to a loaded model are counted, and with the last one it goes."""

from __future__ import annotations

import gc
import random
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_engine import SDK, SDKError
from reference_engine import plugin as plugin_module
from reference_engine.models import loader as loader_module
from reference_engine.models.lease import Lease, Leases
from reference_engine.models.loader import ModelLoader
from reference_engine.models.tiny import tiny_model


class Parts:
    """Stands for a loaded model."""

    path = Path()


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    done: list[Path] = []

    def load(folder: Path, device: str, half: bool) -> Any:
        done.append(folder)
        return Parts()

    monkeypatch.setattr(loader_module, "_load", load)
    return done


def test_a_model_stays_until_its_last_lease_is_released(loads: list[Path]) -> None:
    loader, folder = ModelLoader(), tiny_model("v1.5")
    one, two = loader.acquire(folder), loader.acquire(folder)
    assert one.model is two.model
    assert loader.references(one.model) == 2
    gone = weakref.ref(one.model)
    one.release()
    assert gone() is two.model and loader.references(two.model) == 1
    two.release()
    assert gone() is None
    assert loader.in_use() == ()
    loader.acquire(folder).release()
    assert len(loads) == 2


def test_a_second_release_is_an_error_and_takes_nothing_from_others(loads: list[Path]) -> None:
    loader, folder = ModelLoader(), tiny_model("v1.5")
    one, two = loader.acquire(folder), loader.acquire(folder)
    one.release()
    for misuse in (one.release, lambda: one.model, one.__enter__):
        with pytest.raises(SDKError, match="released before") as caught:
            misuse()
        assert caught.value.code == "ERR_RELEASED" and caught.value.remedies
    assert loader.references(two.model) == 1


def test_a_with_statement_releases_also_after_an_error(loads: list[Path]) -> None:
    loader = ModelLoader()
    with pytest.raises(ZeroDivisionError), loader.acquire(tiny_model("v1.5")) as model:
        assert loader.references(model) == 1
        raise ZeroDivisionError
    assert loader.references(model) == 0


def test_a_lease_that_is_lost_is_given_back() -> None:
    leases: Leases[Parts] = Leases()
    model = Parts()
    lease = leases.take(model)
    ring: list[Any] = [lease]
    ring.append(ring)
    del lease, ring
    gc.collect()
    assert leases.count(model) == 0


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=60))
def test_the_count_is_that_of_leases_taken_less_released(moves: list[tuple[int, bool]]) -> None:
    leases: Leases[Parts] = Leases()
    models = [Parts() for _ in range(3)]
    held: list[list[Lease[Parts]]] = [[], [], []]
    for which, takes in moves:
        if takes:
            held[which].append(leases.take(models[which]))
        elif held[which]:
            held[which].pop(0).release()
        assert [leases.count(model) for model in models] == [len(some) for some in held]
        assert set(map(id, leases.models())) == {id(m) for m, some in zip(models, held, strict=True) if some}


def test_threads_that_take_and_release_lose_no_count() -> None:
    leases: Leases[Parts] = Leases()
    model, errors = Parts(), []
    shared = [leases.take(model) for _ in range(200)]
    together = threading.Barrier(8)

    def work(seed: int) -> None:
        chance, own = random.Random(seed), []
        together.wait(20)
        for lease in shared:  # everybody tries to release each of them
            try:
                lease.release()
            except SDKError:
                errors.append(lease)
            own.append(leases.take(model))
            if chance.random() < 0.5:
                own.pop().release()
        for lease in own:
            lease.release()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(errors) == 7 * len(shared)
    assert leases.count(model) == 0 and leases.models() == ()


def test_plugins_and_pools_hold_leases_while_they_are_loaded(
    loads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    loader = ModelLoader()
    monkeypatch.setattr(plugin_module, "_LOADER", loader)
    one, two = (SDK.create_plugin({"device": "cpu"}) for _ in range(2))
    model = one._load_locked()
    assert two._load_locked() is model
    assert loader.references(model) == 2
    one.close()
    one.close()
    assert loader.references(model) == 1
    two.close()
    assert loader.references(model) == 0

    def load_now(own: Any) -> None:
        own._load_locked()

    with SDK.create_pool({"device": "cpu"}, threads=1, setup=load_now) as pool:
        with pytest.raises(AttributeError):  # `Parts` makes no image
            pool.submit("a", width=64, height=64).result(60)
        assert loader.references(loader._leases.models()[0]) == 1
    assert loader._leases.models() == ()
