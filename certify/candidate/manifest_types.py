"""Types that tables of the manifest share."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StrictStr
from pydantic_core import PydanticCustomError


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


def wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("form", "{message}", {"message": message})


def each_once(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if values.count(value) > 1:
            raise wrong(f"{json.dumps(value)} is listed twice")
    return values


Filled = Annotated[StrictStr, Field(min_length=1)]
Entry = Annotated[
    StrictStr, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$")
]
UNIQUE: dict[str, JsonValue] = {"uniqueItems": True}
