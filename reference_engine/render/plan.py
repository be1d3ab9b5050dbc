"""How a request will be rendered, decided before the first allocation so that it fits `memory_limit`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from ..errors import InvalidParameter
from ..preprocess.parameters import MAX_PIXELS, too_large
from ..preprocess.request import Request
from . import memory
from .memory import PIXELS_PER_LATENT, Estimate
from .tiles import Grid

TILES = (1152, 768, 512)
"""Sides of the UNet's tiles in pixels, largest first: four of 1152 make 2048 x 2048."""
DECODER_TILE = 512


@dataclass(frozen=True)
class Plan:
    """`batch` images at once; `tile` and `decoder_tile` are sides in pixels, 0 for the whole image; with
    `medvram` only the part of the model that works is on the GPU. `tight` where the limit is under twice the
    estimate: the heap of the process is then held still (`caps.steady_heap`), which costs some time.
    """

    batch: int = 1
    tile: int = 0
    decoder_tile: int = 0
    medvram: bool = False
    tight: bool = field(default=False, compare=False)

    def leaner(self, request: Request) -> Plan:
        """The plan for a second try after the first ran out of memory; the same one where nothing is left
        to give up.
        """
        side = max(request.width, request.height)
        smaller = [tile for tile in TILES if tile < (self.tile or side)]
        return replace(
            self,
            batch=1,
            tile=smaller[0] if smaller else self.tile,
            decoder_tile=min(
                self.decoder_tile or side, DECODER_TILE // 2 if self.decoder_tile else DECODER_TILE
            ),
        )

    def note(self, request: Request) -> str:
        """A sentence for the user where the image is not rendered whole and at once; else an empty text."""
        told = []
        if self.tile and (grid := self.grid(request)).count > 1:
            high, wide = (side * PIXELS_PER_LATENT for side in grid.tile)
            told.append(f"rendered in {grid.count} overlapping tiles of {wide} x {high} pixels")
        if self.decoder_tile and self.decoder_tile < max(request.width, request.height):
            told.append(f"decoded in tiles of {self.decoder_tile} pixels")
        if request.num_images > self.batch:
            told.append(f"made {self.batch} at a time")
        if self.medvram:
            told.append("made with only the part of the model in use on the GPU (medvram)")
        if not told:
            return ""
        return f"To stay within memory_limit the image was {', '.join(told)}."

    def grid(self, request: Request) -> Grid:
        """The UNet's tiles over the request's latents."""
        high, wide = request.height // PIXELS_PER_LATENT, request.width // PIXELS_PER_LATENT
        return Grid.over(high, wide, self.tile // PIXELS_PER_LATENT or max(high, wide))


@dataclass(frozen=True)
class PlanCheck:
    """The stage that plans, and refuses what would fit in no way, before a model is loaded.

    `needed` estimates a request under a plan; `tiling` is "auto", "always" or "never"; `medvram()` says
    whether plans have it, None for only those that need it, and `medvram(plan)` hears what was chosen;
    `unbounded` allows images over 1024 x 1024 pixels without tiles. Raises OutOfMemory, and InvalidParameter
    for a size that needs tiles where they are forbidden.
    """

    needed: Callable[[Request, Plan], Estimate]
    limit: int
    tiling: str = "auto"
    medvram: Callable[..., bool | None] = lambda plan=None: False
    unbounded: bool = False
    name: str = "memory"

    def __call__(self, request: Request) -> Request:
        least: Estimate | None = None
        offload = self.medvram()
        plans = [
            replace(plan, medvram=choice)
            for choice in ((False, True) if offload is None else (offload,))
            for plan in self.candidates(request)
        ]
        for plan in plans:
            needed = self.needed(request, plan)
            if needed.total <= self.limit:
                if offload is None:
                    self.medvram(plan)
                note = plan.note(request)
                plan = replace(plan, tight=2 * needed.total > self.limit)
                return replace(request, plan=plan, warnings=request.warnings + ((note,) if note else ()))
            least = needed if least is None or needed.total < least.total else least
        if least is None:
            raise InvalidParameter("The request", [too_large(request.width, request.height)])
        raise memory.refusal(least, self.limit)

    def candidates(self, request: Request) -> Iterator[Plan]:
        """Plans from the fastest to the leanest."""
        images = request.num_images
        side = max(request.width, request.height)
        may = self.tiling != "never"
        if self.tiling != "always" and (self.unbounded or request.width * request.height <= MAX_PIXELS):
            for batch in _batches(images):
                yield Plan(batch)
            if may and side > DECODER_TILE:
                yield Plan(1, decoder_tile=DECODER_TILE)
        if may:
            for tile in TILES:
                if tile < side or self.tiling == "always":
                    for batch in _batches(images):
                        yield Plan(batch, tile, DECODER_TILE)


def _batches(images: int) -> tuple[int, ...]:
    """`images`, and halves of it down to 1."""
    sizes = [images]
    while sizes[-1] > 1:
        sizes.append(-(-sizes[-1] // 2))
    return tuple(sizes)
