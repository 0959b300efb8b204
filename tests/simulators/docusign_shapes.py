"""Whether a body has DocuSign's shape: names and types as the vendor's own client declares them.

Real DocuSign overlooks a name that it does not know; here that is refused too, since it would be lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

LIST = re.compile(r"list\[(\w+)\]")


def complaints(shape: str, body: Any, where: str = "") -> Iterator[str]:
    """What is wrong with a body, one sentence each."""
    from docusign_esign import models

    listed = LIST.fullmatch(shape)
    if listed:
        if not isinstance(body, list):
            yield f"{where} must be a list"
            return
        for number, each in enumerate(body):
            yield from complaints(listed[1], each, f"{where}[{number}]")
    elif shape in ("str", "bool"):
        if not isinstance(body, str if shape == "str" else bool):
            yield f"{where} must be {shape}, not {type(body).__name__}"
    elif hasattr(models, shape):
        if not isinstance(body, dict):
            yield f"{where} must be an object"
            return
        made = getattr(models, shape)
        types = {json_name: made.swagger_types[name] for name, json_name in made.attribute_map.items()}
        for name, value in body.items():
            if name not in types:
                yield f"{where}.{name} is not known"
            elif value is not None:
                yield from complaints(types[name], value, f"{where}.{name}")
