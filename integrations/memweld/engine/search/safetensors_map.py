"""The vectors of a model's tokens, mapped from its file: read as they are needed, and shared by all processes."""

from __future__ import annotations

import json
import mmap
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

__all__ = ["map_weights"]

# Of safetensors' names those of which models' weights are.
_TYPES = {"F16": "<f2", "F32": "<f4"}


def map_weights(path: Path) -> NDArray[Any]:
    """The one matrix of a safetensors file, as it stands there and not writable.

    The package ``safetensors`` would copy it, which takes longer than all that a first search reads of it. The format:
    the header's length in eight bytes, little-endian; the header, JSON; the data.

    Raises:
        OSError: The file cannot be read.
        ValueError: It holds something else.
    """
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    begin = 8 + int.from_bytes(mapped[:8], "little")
    header = cast("dict[str, Any]", json.loads(mapped[8:begin]))
    ((_, tensor),) = [each for each in header.items() if each[0] != "__metadata__"]
    first, last = tensor["data_offsets"]
    kind = np.dtype(_TYPES[tensor["dtype"]])
    flat = np.frombuffer(mapped, dtype=kind, count=(last - first) // kind.itemsize, offset=begin + first)
    return flat.reshape(tensor["shape"])
