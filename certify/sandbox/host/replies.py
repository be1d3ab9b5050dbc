"""What a worker states of itself and its plugin: claims, which can add suspicion but never remove it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class ImageReply(BaseModel):
    """The header of an image reply: size in pixels, number of payload bytes, facts of the result."""

    model_config = ConfigDict(extra="ignore", strict=True)

    width: int = Field(ge=1, le=8192)
    height: int = Field(ge=1, le=8192)
    pixel_bytes: int = Field(ge=1)
    png_bytes: int = Field(ge=0)
    inside_seconds: float = Field(ge=0)
    result: dict[str, str | int | bool]


class WorkerState(BaseModel):
    """What a soaked worker states of itself: whether Python's garbage collector is on; memory blocks, heap
    bytes, live asyncio tasks, and bytes of torch on a GPU. It is a claim, which can only add suspicion."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    collector: bool
    blocks: int = Field(ge=0)
    heap: int = Field(ge=0)
    tasks: int = Field(ge=0)
    cuda: int = Field(ge=0)


class AllocationSite(BaseModel):
    """A line of Python whose allocations are still held, as the worker states it: their count and bytes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    place: str = Field(max_length=300)
    count: int = Field(ge=0)
    bytes: int = Field(ge=0)


SITES = TypeAdapter(list[AllocationSite])


class Parameter(BaseModel):
    """One parameter of `generate_image` as the worker described it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: str
    has_default: bool
    default: str | int | float | bool | None


class Signature(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    callable: bool
    asynchronous: bool
    parameters: tuple[Parameter, ...] = Field(max_length=50)

    def names(self, parameter: str) -> bool:
        """Whether it has a parameter of this name, or takes keywords of any name."""
        return any(row.name == parameter or row.kind == "var_keyword" for row in self.parameters)
