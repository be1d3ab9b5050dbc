"""Reading and writing AI marks, beside invisible-watermark's own decoder on the same images.

    python -m benchmarks.marks [PART ...] [--crops N] [--held-out]

Photographs are those that scikit-image, scikit-learn and matplotlib ship, 512 x 512; they were at hand
when thresholds were set. With --held-out they are those of imgaug, ultralytics, mahotas and gradio.
SDXL's mark is written by diffusers' own class. "Library" is the decoder of invisible-watermark with 41 of
48 bits, which is p <= 1e-6 for one hypothesis; ours is p <= 1e-6 after correction for all that it tries.
Times are the smallest of several rounds, one thread, both arms in turns.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from certify.instruments.marks.pixels import classic, fidelity
from certify.instruments.marks.pixels.attacks import ATTACKS, Attack
from certify.instruments.marks.pixels.invisible import MarkReading, read_mark
from certify.instruments.marks.pixels.payloads import KNOWN, payload_bits
from certify.instruments.marks.pixels.statistics import binomial_tail
from reference_engine.marking import PAYLOAD_BITS
from reference_engine.marking.luma import embed_luma
from tests.instruments.marks.photographs import HELD_OUT, PHOTOS, middle, photo_file

Pixels = np.ndarray
SDXL = payload_bits(KNOWN[1].payload)
OWN = np.array(PAYLOAD_BITS, bool)
LIBRARY_NEEDS = 41
SIZE = (512, 512)
MISSING = {False: "the extra `test`", True: "imgaug, ultralytics, mahotas and gradio (--no-deps)"}


def photographs(size: int = 512, held_out: bool = False) -> dict[str, Pixels]:
    wanted = HELD_OUT if held_out else PHOTOS
    found = [(path, file) for package, path in wanted if (file := photo_file(package, path))]
    if len(found) < len(wanted):
        print(f"{len(found)} of {len(wanted)} photographs: install {MISSING[held_out]} for the others")
    return {Path(path).stem: middle(file, size) for path, file in found}


def by_diffusers(pixels: Pixels) -> Pixels:
    """SDXL's mark as diffusers writes it, and the file as its image processor makes it."""
    import torch
    from diffusers.image_processor import VaeImageProcessor
    from diffusers.pipelines.stable_diffusion_xl.watermark import StableDiffusionXLWatermarker

    latent = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    marked = StableDiffusionXLWatermarker().apply_watermark(latent)
    return np.asarray(VaeImageProcessor().postprocess(marked, output_type="pil")[0])


def by_library(pixels: Pixels) -> bool:
    from imwatermark.maxDct import EmbedMaxDct

    found = EmbedMaxDct(wmLen=48).decode(np.ascontiguousarray(pixels[..., ::-1]))
    return int((found == SDXL).sum()) >= LIBRARY_NEEDS


def sdxl(photos: dict[str, Pixels]) -> None:
    marked = {name: by_diffusers(pixels) for name, pixels in photos.items()}
    random = np.random.default_rng(1)
    rows = [ATTACKS[0], *(attack for attack in ATTACKS if "crop" in attack.name or attack.name == "mirrored")]
    print("\nSDXL's mark by diffusers' own class      library   ours")
    for attack in rows:
        seen = [np.ascontiguousarray(attack.apply(pixels, random)) for pixels in marked.values()]
        theirs = np.mean([by_library(pixels) for pixels in seen])
        ours = np.mean([_present(read_mark(pixels, SDXL, "dwtDct", SIZE, crops=True)) for pixels in seen])
        print(f"  {attack.name:<36} {theirs:8.0%} {ours:6.0%}")


def _present(reading: MarkReading) -> bool:
    return reading.state == "present"


def false_positives(photos: dict[str, Pixels], crops: int) -> None:
    """Crops of unmarked photographs at random places, sizes, flips; a word of chance for each, and the
    known ones.
    """
    random = np.random.default_rng(2)
    print(f"\nunmarked crops: {crops}                  p <= 1e-6   p <= 1e-3 (bound)   least p")
    bound = next(k for k in range(crops) if binomial_tail(k + 1, crops, 1e-3) < 0.01)
    words = {
        "dwtDct, SDXL's word": ("dwtDct", lambda: SDXL),
        "dwtDct, words of chance": ("dwtDct", lambda: random.permutation(SDXL)),
        "lumaQim, the SDK's word": ("lumaQim", lambda: OWN),
        "lumaQim, words of chance": ("lumaQim", lambda: random.permutation(OWN)),
        "dwtDctSvd, words of chance": ("dwtDctSvd", lambda: random.permutation(OWN)),
    }
    cuts = list(_crops(list(photos.values()), crops, random))
    for name, (method, word) in words.items():
        search = method != "dwtDctSvd"
        found = [
            read_mark(cut, word(), method, crops=search and number % 5 == 0)
            for number, cut in enumerate(cuts)
        ]
        p = np.array([reading.p_value for reading in found])
        print(f"  {name:<32} {(p <= 1e-6).sum():9} {(p <= 1e-3).sum():11} ({bound:2}) {p.min():16.2g}")
    print("  (every fifth with the search for crops as well)")


def _crops(photos: list[Pixels], count: int, random: np.random.Generator) -> Iterable[Pixels]:
    for number in range(count):
        pixels = photos[number % len(photos)]
        height, width = (int(side) for side in random.integers(128, 385, 2))
        top, left = int(random.integers(512 - height)), int(random.integers(512 - width))
        cut = pixels[top : top + height, left : left + width]
        yield np.ascontiguousarray(cut[:, ::-1] if random.random() < 0.5 else cut)


def times(photos: dict[str, Pixels]) -> None:
    from imwatermark.dwtDctSvd import EmbedDwtDctSvd
    from imwatermark.maxDct import EmbedMaxDct

    pixels = next(iter(photos.values()))
    bgr = np.ascontiguousarray(pixels[..., ::-1])
    print("\ndecoding at 512 x 512, 48 bits              library      ours   ratio")
    for method, kind in (("dwtDct", EmbedMaxDct), ("dwtDctSvd", EmbedDwtDctSvd)):
        arms: list[Callable[[], object]] = [
            lambda kind=kind: kind(wmLen=48).decode(bgr),  # type: ignore[misc]
            lambda method=method: classic.decode(pixels, method, 48),  # type: ignore[misc]
        ]
        theirs, ours = _best_times(arms, 7)
        print(f"  {method:<36} {theirs * 1e3:8.1f} ms {ours * 1e3:6.1f} ms {ours / theirs:7.2f}")
    reads: list[tuple[str, Callable[[], object]]] = [
        ("lumaQim, marked", lambda: read_mark(embedded, OWN, "lumaQim")),
        ("lumaQim, unmarked, all crops", lambda: read_mark(pixels, OWN, "lumaQim", crops=True)),
        ("dwtDct, marked", lambda: read_mark(classically, SDXL, "dwtDct")),
        ("dwtDct, unmarked", lambda: read_mark(pixels, SDXL, "dwtDct")),
        ("dwtDct, unmarked, all crops", lambda: read_mark(pixels, SDXL, "dwtDct", SIZE, crops=True)),
        ("lumaQim, writing", lambda: embed_luma(pixels, OWN)),
    ]
    embedded, classically = embed_luma(pixels, OWN), by_library_marker("dwtDct")(pixels, SDXL)
    for name, call in reads:
        print(f"  {name:<36} {'':11} {_best_times([call], 3)[0] * 1e3:6.1f} ms")


def _best_times(arms: list[Callable[[], object]], rounds: int) -> list[float]:
    best = [float("inf")] * len(arms)
    for _ in range(rounds):
        for number, arm in enumerate(arms):
            started = time.perf_counter()
            arm()
            best[number] = min(best[number], time.perf_counter() - started)
    return best


def own_mark(load: Callable[[int], dict[str, Pixels]]) -> None:
    """The SDK's mark after every attack, at three sizes; it is told no size but the one it was made in."""
    sizes = (512, 256, 768)
    columns, quality = {}, []
    for size in sizes:
        photos = load(size)
        marked = {name: embed_luma(pixels, OWN) for name, pixels in photos.items()}
        noise = [fidelity.psnr(photos[name], marked[name]) for name in photos]
        alike = [fidelity.ssim(photos[name], marked[name]) for name in photos]
        quality.append(
            f"{size}: PSNR {np.mean(noise):.1f} dB (least {min(noise):.1f}), SSIM {np.mean(alike):.3f}"
        )
        columns[size] = [_share(list(marked.values()), attack, size) for attack in ATTACKS]
    print("\nthe SDK's mark (lumaQim), found after  " + "".join(f"{size:>8}" for size in sizes))
    for number, attack in enumerate(ATTACKS):
        print(
            f"  {attack.level} {attack.name:<33}" + "".join(f"{columns[size][number]:8.0%}" for size in sizes)
        )
    print("  " + "; ".join(quality))


def _share(marked: list[Pixels], attack: Attack, size: int) -> float:
    random = np.random.default_rng(3)
    found = [
        read_mark(
            np.ascontiguousarray(attack.apply(pixels, random)),
            OWN,
            "lumaQim",
            (size, size),
            crops="crop" in attack.name,
            turns="rotated" in attack.name,
        )
        for pixels in marked
    ]
    return float(np.mean([_present(reading) for reading in found]))


def forgeries(photos: dict[str, Pixels]) -> None:
    """Of each method; and whether a forgery carries a word that was drawn after it was made."""
    print(
        "\nforgeries                             k of n alone would accept   accepted as whole   "
        "as marked honestly   drawn word"
    )
    random = np.random.default_rng(5)
    for method, (word, write) in MARKERS.items():
        cases = _forged(photos, lambda pixels, word=word, write=write: write(pixels, word))  # type: ignore[misc]
        for case, forged in cases.items():
            originals = [*photos.values()] if case == HONEST else _others(photos)
            drawn = random.permutation(word)
            readings = [read_mark(pixels, word, method) for pixels in forged]
            found = sum(_present(read_mark(pixels, drawn, method)) for pixels in forged)
            alone, whole = sum(map(_present, readings)), sum(reading.whole for reading in readings)
            # Between grey pictures a copied mark is what the marker writes, but for a pixel or two.
            honest = sum(
                _same(pixels, write(photo, word)) for pixels, photo in zip(forged, originals, strict=True)
            )
            print(
                f"  {method:<12} {case:<23} {alone:8} of {len(forged)} {whole:19} of {len(forged)} "
                f"{honest:15} {found:12}"
            )


HONEST = "none: marked"


def _others(photos: dict[str, Pixels]) -> list[Pixels]:
    """The next photograph of each, which its mark is copied to."""
    pictures = list(photos.values())
    return [*pictures[1:], pictures[0]]


def _same(one: Pixels, other: Pixels) -> bool:
    return bool((one != other).mean() < 1e-3)


def _forged(photos: dict[str, Pixels], write: Callable[[Pixels], Pixels]) -> dict[str, list[Pixels]]:
    """Each photograph with parts of another marked one, and with the residual of that one's mark; and
    honestly marked, which is to be accepted.
    """
    kinds = ("a quarter pasted", "a half pasted", "a residual copied", HONEST)
    cases: dict[str, list[Pixels]] = {kind: [] for kind in kinds}
    for mine, other in zip(photos.values(), _others(photos), strict=True):
        marked = write(mine)
        quarter, half = other.copy(), other.copy()
        quarter[:256, :256], half[:, :256] = marked[:256, :256], marked[:, :256]
        residual = np.clip(other + (marked.astype(int) - mine), 0, 255).astype(np.uint8)
        for case, forged in zip(cases, (quarter, half, residual, marked), strict=True):
            cases[case].append(forged)
    return cases


def by_library_marker(name: str) -> Callable[[Pixels, Pixels], Pixels]:
    """The encoder of a classic mark in invisible-watermark."""

    def write(pixels: Pixels, word: Pixels) -> Pixels:
        from imwatermark.dwtDctSvd import EmbedDwtDctSvd
        from imwatermark.maxDct import EmbedMaxDct

        kind = {"dwtDct": EmbedMaxDct, "dwtDctSvd": EmbedDwtDctSvd}[name]
        bgr = np.ascontiguousarray(pixels[..., ::-1])
        marked = kind([int(bit) for bit in word], wmLen=word.size).encode(bgr)
        return np.ascontiguousarray(marked[..., ::-1])

    return write


MARKERS = {
    "lumaQim": (OWN, embed_luma),
    "dwtDct": (SDXL, by_library_marker("dwtDct")),
    "dwtDctSvd": (OWN, by_library_marker("dwtDctSvd")),
}

Load = Callable[[int], dict[str, Pixels]]
PARTS: dict[str, Callable[[Load, int], None]] = {
    "sdxl": lambda load, _: sdxl(load(512)),
    "own": lambda load, _: own_mark(load),
    "forgeries": lambda load, _: forgeries(load(512)),
    "times": lambda load, _: times(load(512)),
    "false-positives": lambda load, crops: false_positives(load(512), crops),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="which (default: all)")
    parser.add_argument("--crops", type=int, default=1200, help="unmarked crops (default 1200)")
    parser.add_argument("--held-out", action="store_true", help="photographs that no threshold was set on")
    arguments = parser.parse_args()

    def load(size: int) -> dict[str, Pixels]:
        return photographs(size, arguments.held_out)

    print(f"photographs: {', '.join(load(64))}")
    for part in arguments.parts or PARTS:
        PARTS[part](load, arguments.crops)
    return 0


if __name__ == "__main__":
    sys.exit(main())
