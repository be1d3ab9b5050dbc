"""What a worker tells of itself and its plugin. Claims: they can add suspicion, and never take any away."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class ImageReply(BaseModel):
    """What stands beside a picture's bytes: sides in pixels, how many bytes follow, the result's facts."""

    model_config = ConfigDict(extra="ignore", strict=True)

    width: int = Field(ge=1, le=8192)
    height: int = Field(ge=1, le=8192)
    pixel_bytes: int = Field(ge=1)
    png_bytes: int = Field(ge=0)
    inside_seconds: float = Field(ge=0)
    result: dict[str, str | int | bool]


class WorkerState(BaseModel):
    """What a soaked worker tells of itself: whether Python's collector is on; blocks, heap, live asyncio
    tasks, bytes of torch's on a GPU. A claim, which can only add suspicion.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    collector: bool
    blocks: int = Field(ge=0)
    heap: int = Field(ge=0)
    tasks: int = Field(ge=0)
    cuda: int = Field(ge=0)


class AllocationSite(BaseModel):
    """A line of Python that allocated what is still held, as the worker tells it: how often, and bytes."""

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
