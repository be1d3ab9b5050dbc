"""Acts done in a fork of this process, since no wall comes down again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest


def in_a_fork(act: Callable[[], Any]) -> Any:
    """What `act` answered in a child (plain values); skips where it raised PermissionError, which says that
    this kernel or container does not let walls be built, and fails on anything else."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            result = {"answer": act()}
        except PermissionError as error:
            result = {"forbidden": str(error)}
        except BaseException as error:
            result = {"broken": f"{type(error).__name__}: {error}"}
        os.write(writer, json.dumps(result).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        data = stream.read()
    os.waitpid(child, 0)
    result = json.loads(data or b'{"broken": "it died"}')
    if "forbidden" in result:
        pytest.skip(f"not allowed here: {result['forbidden']}")
    assert "answer" in result, result
    return result["answer"]


def outcome(act: Callable[[], Any]) -> str:
    """`done`, or the name of the error."""
    try:
        act()
    except OSError as error:
        return type(error).__name__ if type(error) is not OSError else f"errno {error.errno}"
    return "done"
