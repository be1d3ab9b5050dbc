"""Pictures for the tests of marks: made up, or photographs that installed packages ship."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PHOTOS = (
    ("skimage", "data/astronaut.png"),
    ("skimage", "data/chelsea.png"),
    ("skimage", "data/coffee.png"),
    ("skimage", "data/rocket.jpg"),
    ("skimage", "data/camera.png"),
    ("skimage", "data/retina.jpg"),
    ("skimage", "data/ihc.png"),
    ("skimage", "data/hubble_deep_field.jpg"),
    ("skimage", "data/grass.png"),
    ("skimage", "data/gravel.png"),
    ("skimage", "data/brick.png"),
    ("skimage", "data/motorcycle_left.png"),
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
)
# Not looked at when thresholds were set: `pip install --no-deps` of these four is enough.
HELD_OUT = (
    ("imgaug", "quokka.jpg"),
    ("ultralytics", "assets/bus.jpg"),
    ("ultralytics", "assets/zidane.jpg"),
    ("mahotas", "demos/data/DepartmentStore.jpg"),
    ("mahotas", "demos/data/luispedro.jpg"),
    ("mahotas", "demos/data/nuclear.png"),
    ("gradio", "media_assets/images/cheetah.jpg"),
    ("gradio", "media_assets/images/groot.jpeg"),
    ("gradio", "media_assets/images/lion.jpg"),
    ("gradio", "media_assets/images/tower.jpg"),
    ("gradio", "test_data/cheetah2.jpg"),
)


def clouds(seed, height=96, width=120, low=30, high=225):
    """Smooth colour patches with some grain, RGB."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(low, high, (-(-height // 16), -(-width // 16), 3)).astype(float)
    smooth = patches.repeat(16, axis=0).repeat(16, axis=1)[:height, :width]
    return np.clip(smooth + rng.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)


def soft(seed, height=96, width=120, low=60, high=196):
    """Soft clouds of colour and a little grain, RGB: what a photograph is to the classic marks."""
    rng = np.random.default_rng(seed)
    spots = rng.integers(low, high, (4, 4, 3)).astype(np.uint8)
    clouded = np.asarray(Image.fromarray(spots).resize((width, height), Image.Resampling.BICUBIC), float)
    return np.clip(clouded + rng.normal(0, 2, clouded.shape), 0, 255).astype(np.uint8)


def photo_file(package, path):
    """The file in an installed package; None where it is not installed."""
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return next((Path(place) / path for place in places if (Path(place) / path).is_file()), None)


def photo(name, size=512):
    """The middle of a photograph, RGB, `size` pixels a side; skips where its package is not installed."""
    package, path = next(row for row in PHOTOS if name in row[1])
    file = photo_file(package, path)
    if file is None:
        pytest.skip(f"{name} comes with {package}, which is not installed (extra: test)")
    return middle(file, size)


def middle(file, size):
    image = Image.open(file).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    cut = image.crop((left, top, left + side, top + side))
    return np.asarray(cut.resize((size, size), Image.Resampling.LANCZOS))
