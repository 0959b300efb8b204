/*
 * Draw a signature with mouse, finger or pen. Without this script the same form takes a typed
 * name. The hidden input gets the drawing as an SVG path in a field of 600 by 240, made of
 * whole numbers and the letters M and L only; empty means: use the typed name.
 */
"use strict";

(() => {
  const WIDTH = 600, HEIGHT = 240, STEP = 2, LONGEST = 12000;

  function start(pad) {
    const canvas = pad.querySelector("canvas");
    const result = pad.querySelector("input");
    const preview = document.querySelector("[data-signature]");
    const typed = document.getElementById(pad.dataset.drawing);
    const strokes = result.value.split("M").slice(1)
      .map((stroke) => stroke.split("L").map((point) => point.split(" ").map(Number)));

    const path = () => strokes.map((points) => "M" + points.map((p) => p.join(" ")).join("L")).join("");
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      const inside = (share, most) => Math.round(Math.min(1, Math.max(0, share)) * most);
      return [inside((event.clientX - box.left) / box.width, WIDTH), inside((event.clientY - box.top) / box.height, HEIGHT)];
    };

    function paint() {
      canvas.width = WIDTH;  // also wipes it
      canvas.height = HEIGHT;
      const pen = canvas.getContext("2d");
      pen.strokeStyle = getComputedStyle(canvas).color;
      pen.lineWidth = 3;
      pen.lineCap = pen.lineJoin = "round";
      pen.stroke(new Path2D(path()));
    }

    function show() {
      paint();
      result.value = path();
      for (const button of pad.querySelectorAll("button")) button.disabled = !strokes.length;
      if (!preview) return;
      preview.textContent = strokes.length ? "" : typed ? typed.value : "";
      if (!strokes.length) return;
      const make = (name, attributes) => {
        const element = document.createElementNS("http://www.w3.org/2000/svg", name);
        for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
        return element;
      };
      const drawing = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH / 2, height: HEIGHT / 2 });
      drawing.append(make("path", { d: path(), fill: "none", stroke: "currentColor", "stroke-width": 5 }));
      preview.append(drawing);
    }

    canvas.addEventListener("pointerdown", (event) => {
      if (!event.isPrimary || event.button || path().length > LONGEST) return;
      const point = place(event);
      strokes.push([point, point]);
      canvas.setPointerCapture(event.pointerId);
      paint();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!canvas.hasPointerCapture(event.pointerId)) return;
      const points = strokes[strokes.length - 1];
      for (const part of event.getCoalescedEvents?.() ?? [event]) {
        const [x, y] = place(part), [lastX, lastY] = points[points.length - 1];
        if (Math.hypot(x - lastX, y - lastY) >= STEP) points.push([x, y]);
      }
      paint();
    });
    canvas.addEventListener("lostpointercapture", show);
    pad.querySelector("[data-undo]").addEventListener("click", () => { strokes.pop(); show(); });
    pad.querySelector("[data-clear]").addEventListener("click", () => { strokes.length = 0; show(); });
    typed?.addEventListener("input", show);

    // Where a browser is too old for our style sheet, a finger must draw all the same, not scroll.
    Object.assign(canvas.style, { maxWidth: "100%", touchAction: "none" });
    pad.hidden = false;
    show();
  }

  document.querySelectorAll("[data-drawing]").forEach(start);
})();
