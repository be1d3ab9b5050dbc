"""Plans how to render a request within `memory_limit`, before the first allocation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ..errors import InvalidParameter
from ..preprocess.parameters import MAX_PIXELS, too_large
from ..preprocess.request import DECODER_TILE, TILES, RenderPlan, Request
from . import memory
from .memory import PIXELS_PER_LATENT, Estimate
from .tiles import Grid


def note(plan: RenderPlan, request: Request) -> str:
    """A sentence for the user if the image is not rendered as a whole and at once; else an empty string."""
    clauses = []
    if plan.tile and (tiles := grid(plan, request)).count > 1:
        high, wide = (side * PIXELS_PER_LATENT for side in tiles.tile)
        clauses.append(f"rendered in {tiles.count} overlapping tiles of {wide} x {high} pixels")
    if plan.decoder_tile and plan.decoder_tile < max(request.width, request.height):
        clauses.append(f"decoded in tiles of {plan.decoder_tile} pixels")
    if request.num_images > plan.batch:
        clauses.append(f"made {plan.batch} at a time")
    if plan.medvram:
        clauses.append("made with only the part of the model in use on the GPU (medvram)")
    if not clauses:
        return ""
    return f"To stay within memory_limit the image was {', '.join(clauses)}."


def grid(plan: RenderPlan, request: Request) -> Grid:
    """The UNet's tiles over the request's latents."""
    high, wide = request.height // PIXELS_PER_LATENT, request.width // PIXELS_PER_LATENT
    return Grid.over(high, wide, plan.tile // PIXELS_PER_LATENT or max(high, wide))


@dataclass(frozen=True)
class PlanCheck:
    """The stage that plans, and refuses a request that no plan fits, before a model is loaded.

    `needed` estimates a request under a plan. `tiling` is "auto", "always" or "never". `medvram()` says
    whether plans use it: True, False, or None for only the plans that need it; `medvram(plan)` receives the
    chosen plan. `unbounded` allows images over 1024 x 1024 pixels without tiles. Raises OutOfMemory, and
    InvalidParameter for a size that needs tiles while they are forbidden.
    """

    needed: Callable[[Request, RenderPlan], Estimate]
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
                sentence = note(plan, request)
                plan = replace(plan, tight=2 * needed.total > self.limit)
                warnings = request.warnings + ((sentence,) if sentence else ())
                return replace(request, plan=plan, warnings=warnings)
            least = needed if least is None or needed.total < least.total else least
        if least is None:
            raise InvalidParameter("The request", [too_large(request.width, request.height)])
        raise memory.refusal(least, self.limit)

    def candidates(self, request: Request) -> Iterator[RenderPlan]:
        """Plans from the fastest to the leanest."""
        images = request.num_images
        side = max(request.width, request.height)
        may = self.tiling != "never"
        if self.tiling != "always" and (self.unbounded or request.width * request.height <= MAX_PIXELS):
            for batch in _batches(images):
                yield RenderPlan(batch)
            if may and side > DECODER_TILE:
                yield RenderPlan(1, decoder_tile=DECODER_TILE)
        if may:
            for tile in TILES:
                if tile < side or self.tiling == "always":
                    for batch in _batches(images):
                        yield RenderPlan(batch, tile, DECODER_TILE)


def _batches(images: int) -> tuple[int, ...]:
    """`images`, and halves of it down to 1."""
    sizes = [images]
    while sizes[-1] > 1:
        sizes.append(-(-sizes[-1] // 2))
    return tuple(sizes)
