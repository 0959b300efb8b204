"""What a finger needs of a signing page, measured in whichever browser shows it."""

from __future__ import annotations

FINGER = """
const faults = [], closed = document.querySelectorAll("details:not([open])");
for (const each of closed) each.open = true;
const name = e => `${e.localName}#${e.id} “${(e.innerText || e.value || "").trim().slice(0, 40)}”`;
const shown = e => e.getClientRects().length && !e.closest(".skip");
for (const each of document.querySelectorAll("a[href], button, input, select, textarea, summary, canvas")) {
  if (!shown(each)) continue;
  const target = /checkbox|radio/.test(each.type) ? each.labels[0] : each;
  const {width, height} = target.getBoundingClientRect();
  if (height < 43.99 || width < 24) faults.push(`${name(each)} is ${width} by ${height} px`);
  if (!each.matches("input:not([type=checkbox], [type=radio]), select, textarea")) continue;
  const size = parseFloat(getComputedStyle(each).fontSize);
  if (size < 16) faults.push(`${name(each)} has letters of ${size} px: a phone would zoom in`);
  if (each.localName !== "input" || each.type === "file") continue;
  if (!each.enterKeyHint) faults.push(`${name(each)} does not say what Enter does`);
  if (!each.getAttribute("autocomplete")) faults.push(`${name(each)} has no autocomplete`);
}
for (const each of closed) each.open = false;
return faults;"""
