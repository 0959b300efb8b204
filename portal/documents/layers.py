"""Layers (optional content) made flat: what is hidden by default goes, the rest is just the page.

Runs only inside a child, on files that nobody has looked at yet.
"""

from __future__ import annotations

from typing import Any

import pikepdf
from pikepdf import Dictionary, Name, Operator

PAINTS_PATH = {"S", "s", "f", "F", "f*", "B", "B*", "b", "b*"}
SHOWS = {"Do", "sh", "Tj", "TJ", "INLINE IMAGE"}
DEEPEST = 20


def flatten(pdf: pikepdf.Pdf) -> bool:
    """Drop hidden layers and the layer settings; whether there were any."""
    settings = pdf.Root.get("/OCProperties")
    if not isinstance(settings, Dictionary):
        return False
    hidden = _Hidden(settings)
    done: set[tuple[int, int]] = set()
    for page in pdf.pages:
        _drop_hidden_annotations(page.obj, hidden)
        resources = page.resources if "/Resources" in page else None
        if resources is not None and hidden.concerns(resources):
            page.contents_coalesce()
            page.obj.Contents = pdf.make_stream(_visible(page.obj, resources, hidden))
        _flatten_forms(pdf, resources, hidden, done, depth=0)
    del pdf.Root["/OCProperties"]
    return True


class _Hidden:
    """Which groups are off when the file is opened."""

    def __init__(self, settings: Dictionary) -> None:
        default = settings.get("/D", Dictionary())
        every = [group.objgen for group in settings.get("/OCGs", [])]
        self.off = set(every) if default.get("/BaseState") == Name.OFF else set()
        self.off -= {group.objgen for group in default.get("/ON", [])}
        self.off |= {group.objgen for group in default.get("/OFF", [])}

    def hides(self, content: Any, depth: int = 0) -> bool:
        """Whether a group or membership dictionary hides what belongs to it."""
        if not isinstance(content, Dictionary) or depth > DEEPEST:
            return False
        if content.get("/Type") != Name.OCMD:
            return content.objgen in self.off
        if "/VE" in content:
            return not self._expression(content.VE, depth)
        groups = content.get("/OCGs", [])
        groups = [groups] if isinstance(groups, Dictionary) else list(groups)
        shown = [group.objgen not in self.off for group in groups if isinstance(group, Dictionary)]
        rule = str(content.get("/P", "/AnyOn"))
        visible = {"/AllOn": all(shown), "/AnyOff": not all(shown), "/AllOff": not any(shown)}
        return bool(shown) and not visible.get(rule, any(shown))

    def _expression(self, expression: Any, depth: int) -> bool:
        if isinstance(expression, Dictionary):
            return expression.objgen not in self.off
        if not isinstance(expression, pikepdf.Array) or depth > DEEPEST or not len(expression):
            return True
        values = [self._expression(term, depth + 1) for term in list(expression)[1:]]
        operator = str(expression[0])
        if operator == "/Not":
            return not any(values)
        return any(values) if operator == "/Or" else all(values)

    def concerns(self, resources: Any) -> bool:
        properties = resources.get("/Properties")
        if isinstance(properties, Dictionary) and any(self.hides(group) for group in properties.values()):
            return True
        return any(self.hides(drawing.get("/OC")) for drawing in _drawings(resources).values())


def _drawings(resources: Any) -> dict[str, Any]:
    drawings = resources.get("/XObject")
    if not isinstance(drawings, Dictionary):
        return {}
    return {name: drawing for name, drawing in drawings.items() if isinstance(drawing, pikepdf.Stream)}


def _drop_hidden_annotations(page: Any, hidden: _Hidden) -> None:
    annotations = page.get("/Annots")
    if not isinstance(annotations, pikepdf.Array):
        return
    page.Annots = pikepdf.Array(
        [note for note in annotations if not (isinstance(note, Dictionary) and hidden.hides(note.get("/OC")))]
    )


def _flatten_forms(
    pdf: pikepdf.Pdf, resources: Any, hidden: _Hidden, done: set[tuple[int, int]], depth: int
) -> None:
    if resources is None or depth > DEEPEST:
        return
    for drawing in _drawings(resources).values():
        if drawing.objgen in done or drawing.get("/Subtype") != Name.Form:
            continue
        done.add(drawing.objgen)
        inner = drawing.get("/Resources")
        if not isinstance(inner, Dictionary):
            continue
        if hidden.concerns(inner):
            drawing.write(_visible(drawing, inner, hidden))
        _flatten_forms(pdf, inner, hidden, done, depth + 1)


def _visible(content: Any, resources: Any, hidden: _Hidden) -> bytes:
    """The content stream without what hidden layers paint; their changes of state stay."""
    properties = resources.get("/Properties", Dictionary())
    drawings = _drawings(resources)
    kept: list[Any] = []
    marks: list[bool] = []  # one for each open marked content: does it hide?
    for instruction in pikepdf.parse_content_stream(content):
        operator, operands = str(instruction.operator), instruction.operands
        if operator in ("BMC", "BDC"):
            marks.append(operator == "BDC" and _is_hidden(operands, properties, hidden))
        elif operator == "EMC" and marks:
            marks.pop()
        if any(marks):
            kept += _without_paint(operator, instruction)
        elif operator == "Do" and hidden.hides(_of(drawings, operands).get("/OC")):
            continue
        else:
            kept.append(instruction)
    return bytes(pikepdf.unparse_content_stream(kept))


def _of(drawings: dict[str, Any], operands: Any) -> Any:
    return drawings.get(str(operands[0]), {}) if len(operands) else {}


def _is_hidden(operands: Any, properties: Any, hidden: _Hidden) -> bool:
    if len(operands) != 2 or operands[0] != Name.OC:
        return False
    named = operands[1]
    return hidden.hides(properties.get(str(named)) if isinstance(named, Name) else named)


def _without_paint(operator: str, instruction: Any) -> list[Any]:
    if operator in SHOWS:
        return []
    if operator in PAINTS_PATH:
        return [pikepdf.ContentStreamInstruction([], Operator("n"))]
    if operator in ("'", '"'):
        return [pikepdf.ContentStreamInstruction([], Operator("T*"))]
    return [instruction]
