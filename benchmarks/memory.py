"""Memory: the estimate against real peaks, and tiles against the whole.

    python -m benchmarks.memory

Real peaks are of resident memory (Linux), each of a process of its own, since a heap remembers. Sizes too
large to run here are told from the dry run alone, and say so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

MB = 2**20
FULL_UNET = {
    "_class_name": "UNet2DConditionModel",
    "block_out_channels": [320, 640, 1280, 1280],
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
    "layers_per_block": 2,
    "sample_size": 64,
}
FULL_VAE = {
    "_class_name": "AutoencoderKL",
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "latent_channels": 4,
    "layers_per_block": 2,
    "sample_size": 512,
}
SIDES = (64, 128, 192, 256, 384, 512, 768, 1024)
CLAIM = "40 to 60 % less"

CHILD = """
import asyncio, json, sys
from reference_engine import SDK
from reference_engine.preprocess import Request
from reference_engine.render import calibration, memory
from reference_engine.preprocess.request import RenderPlan
from dataclasses import replace
side, tile, decoder_tile = map(int, sys.argv[1:])
plugin = SDK.create_plugin({"device": "cpu"})
engine = lambda: plugin._engine()
def go(side, plan):
    prepared = plugin.pipeline.run(Request("a", steps=5, width=side, height=side, seed=1))
    engine().render(replace(prepared, plan=plan))
go(64, RenderPlan(tight=True))
known = calibration.calibrate(plugin._load_locked(), "cpu")
real = calibration._resident_peak(lambda: go(side, RenderPlan(1, tile, decoder_tile)))
told = memory.estimate(plugin._folder(), side, side, tile=tile, decoder_tile=decoder_tile)
print(json.dumps([real, told.activations, told.weights]))
"""


def real(side: int, tile: int = 0, decoder_tile: int = 0) -> tuple[int, int, int]:
    """Bytes: the real rise of resident memory, what was told, and the weights."""
    command = [sys.executable, "-c", CHILD, str(side), str(tile), str(decoder_tile)]
    root = str(Path(__file__).resolve().parents[1])
    answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    first, second, third = json.loads(answer.stdout.splitlines()[-1])
    return first, second, third


def full_size(folder: Path) -> Path:
    """The configs of the real v1.5, without its weights."""
    for part, config in (("unet", FULL_UNET), ("vae", FULL_VAE)):
        (folder / part).mkdir()
        (folder / part / "config.json").write_text(json.dumps(config))
    return folder


def dry(model: Path, side: int, tile: int = 0, decoder_tile: int = 0) -> int:
    """Live bytes of activations in float16, as on a GPU."""
    from reference_engine.render import memory
    from reference_engine.render.calibration import Calibration
    from reference_engine.render.dryrun import allocation_model
    from reference_engine.render.tiles import DECODER_OVERLAP

    areas = (
        memory._area(side // 8, side // 8, tile),
        memory._area(side // 8, side // 8, decoder_tile, DECODER_OVERLAP),
    )
    stages = zip(("unet", "decode"), (2, 1), areas, strict=True)
    peaks = [allocation_model(model, stage, rows, copies=False).peak(area) for stage, rows, area in stages]
    return memory._peak(peaks, True, Calibration(1.0, 0))


def main() -> None:
    print(f"load {os.getloadavg()[0]:.1f}")
    if sys.platform.startswith("linux"):
        peaks = {}
        untiled = [(side, 0, 0) for side in SIDES]
        for side, tile, decoder_tile in (*untiled, (1024, 640, 512)):
            got, told, weights = real(side, tile, decoder_tile)
            peaks[side, tile] = got
            how = f"tiles of {tile} and {decoder_tile}" if tile else "whole"
            print(
                f"tiny v1.5, {side} px, {how}: real {got / MB:.1f} MB, estimate {told / MB:.1f} MB, "
                f"real / estimate {got / told:.2f}, "
                f"with the weights {(got + weights) / (told + weights):.2f} "
                "(goal 0.8 to 1.0)"
            )
        print(f"real peak at 1024 px, tiled / whole: {peaks[1024, 640] / peaks[1024, 0]:.2f} (goal 0.50)")
    else:
        print("real peaks: not evidenced (they are read from /proc, on Linux)")
    with tempfile.TemporaryDirectory() as folder:
        model = full_size(Path(folder))
        whole, weights = dry(model, 2048), 2 * 1_066_000_000
        for name, tile, decoder_tile in (("1152 and 1152", 1152, 1152), ("1152 and 512", 1152, 512)):
            tiled = dry(model, 2048, tile, decoder_tile)
            print(
                f"full-size v1.5, 2048 px, float16, dry run: tiles of {name} / whole {tiled / whole:.2f} "
                f"of activations, {(tiled + weights) / (whole + weights):.2f} with weights "
                f"(goal 0.50; the claim is {CLAIM})"
            )
    print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
