// Charts in SVG, drawn at the width that there is: bars on each other, or lines. Every text is set as text, never as
// markup.

const HEIGHT = 220, TOP = 22, BOTTOM = 26, RIGHT = 8, LETTER = 6.8;

function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function shape(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value !== null) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

// A chart: {title, unit, kind: "bars" | "lines", series: [{name, colour, values}], labels, names, tick, tip}. A value
// that is null is unknown: a gap in a line, a question mark in place of a bar. Returns its element and what draws it.
function chart(spec) {
  const tip = element("div", { class: "tip", "aria-live": "polite", hidden: true });
  const plot = element("div", { class: "plot" }, tip);
  const draw = (width) => {
    const old = plot.querySelector("svg");
    if (old) old.remove();
    plot.prepend(drawn(spec, Math.max(width || plot.clientWidth || 320, 200), tip));
  };
  return { element: element("div", {}, spec.series.length > 1 ? legend(spec) : null, plot), draw };
}

function legend(spec) {
  const entries = spec.series.map((each) => element("li", {}, sample(spec.kind, each.colour), each.name));
  return element("ul", { class: "legend" }, ...entries);
}

function sample(kind, colour) {
  const mark = kind === "bars"
    ? shape("rect", { class: `fill-${colour}`, x: 5, width: 12, height: 12, rx: 2 })
    : shape("path", { class: `line line-${colour}`, d: "M1 6H21" });
  return shape("svg", { "aria-hidden": "true", viewBox: "0 0 22 12" }, mark);
}

function drawn(spec, width, tip) {
  const scale = scaled(spec, width);
  const svg = shape("svg", {
    viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", tabindex: 0,
    "aria-label": `${spec.title}. As setas do teclado leem os valores.`,
  });
  svg.append(...axes(spec, scale), ...(spec.kind === "bars" ? bars : lines)(spec, scale));
  const cursor = shape("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
  svg.append(cursor);
  listen(svg, tip, cursor, spec, scale);
  return svg;
}

function scaled(spec, width) {
  const count = spec.labels.length;
  const marks = ticks(highest(spec));
  const left = Math.ceil(Math.max(...marks.map((mark) => spec.tick(mark).length)) * LETTER) + 10;
  const band = (width - left - RIGHT) / count;
  const top = marks[marks.length - 1];
  return {
    marks, left, band, count, width,
    middle: (place) => left + band * (place + 0.5),
    y: (value) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - BOTTOM - TOP),
  };
}

function highest(spec) {
  const known = (each, place) => each.values[place] ?? 0;
  const places = spec.labels.map((_, place) => spec.series.map((each) => known(each, place)));
  return Math.max(0, ...(spec.kind === "lines" ? places.flat() : places.map(sum)));
}

// From 0 to at least the highest, in steps of 1, 2 or 5 times a power of ten.
function ticks(top) {
  if (!(top > 0)) return [0, 1];
  const power = 10 ** Math.floor(Math.log10(top / 4));
  const step = [1, 2, 5, 10].map((times) => times * power).find((size) => top / size <= 5);
  return Array.from({ length: Math.ceil(top / step - 1e-9) + 1 }, (_, place) => place * step);
}

function axes(spec, scale) {
  const made = [shape("text", { x: 0, y: 11 }, spec.unit)];
  for (const mark of scale.marks) {
    const y = scale.y(mark);
    made.push(shape("line", { class: mark ? "grid" : "axis", x1: scale.left, x2: scale.width - RIGHT, y1: y, y2: y }));
    made.push(shape("text", { x: scale.left - 6, y: y + 4, "text-anchor": "end" }, spec.tick(mark)));
  }
  const widest = Math.max(...spec.labels.map((label) => label.length)) * LETTER + 14;
  const every = Math.max(1, Math.ceil(widest / scale.band));
  // Counted from the end: the newest period always has its name.
  for (let place = scale.count - 1; place >= 0; place -= every) {
    const half = spec.labels[place].length * LETTER / 2;
    const x = Math.max(Math.min(scale.middle(place), scale.width - half), half);
    made.push(shape("text", { x, y: HEIGHT - 8, "text-anchor": "middle" }, spec.labels[place]));
  }
  return made;
}

function bars(spec, scale) {
  const made = [], width = Math.max(scale.band * 0.74, 1);
  spec.labels.forEach((_, place) => {
    const x = scale.middle(place) - width / 2;
    let below = 0;
    for (const each of spec.series) {
      const value = each.values[place];
      if (value === null) {
        made.push(shape("text", { x: scale.middle(place), y: scale.y(0) - 4, "text-anchor": "middle" }, "?"));
      } else if (value > 0) {
        // What is more than nothing is seen.
        const height = Math.max(scale.y(below) - scale.y(below + value), 1.5);
        made.push(shape("rect", { class: `fill-${each.colour}`, x, width, y: scale.y(below) - height, height }));
        below += value;
      }
    }
  });
  return made;
}

function lines(spec, scale) {
  return spec.series.flatMap((each) => {
    const made = [];
    let path = "";
    each.values.forEach((value, place) => {
      if (value === null) return;
      const after = (each.values[place - 1] ?? null) !== null;
      const x = scale.middle(place), y = scale.y(value);
      path += `${after ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
      const alone = !after && (each.values[place + 1] ?? null) === null;
      if (alone) made.push(shape("circle", { class: `fill-${each.colour}`, cx: x, cy: y, r: 3 }));
    });
    return [shape("path", { class: `line line-${each.colour}`, d: path || "M0 0" }), ...made];
  });
}

let hideShown = () => {};

function listen(svg, tip, cursor, spec, scale) {
  let at = null;
  const show = (place) => {
    if (hideShown !== hide) hideShown();
    hideShown = hide;
    at = Math.max(0, Math.min(scale.count - 1, place));
    const x = scale.middle(at), lines = spec.tip(at).map((line) => element("div", {}, line));
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    cursor.setAttribute("visibility", "visible");
    tip.replaceChildren(element("strong", {}, spec.names[at]), ...lines);
    tip.hidden = false;
    const shown = svg.getBoundingClientRect().width, middle = x * shown / scale.width;
    const free = middle > shown / 2 ? middle - tip.offsetWidth - 12 : middle + 12;
    tip.style.left = `${Math.max(0, Math.min(free, shown - tip.offsetWidth))}px`;
  };
  const hide = () => {
    at = null;
    tip.hidden = true;
    cursor.setAttribute("visibility", "hidden");
  };
  const pointed = (event) => {
    const box = svg.getBoundingClientRect();
    show(Math.floor(((event.clientX - box.left) * scale.width / box.width - scale.left) / scale.band));
  };
  svg.addEventListener("pointermove", pointed);
  svg.addEventListener("pointerdown", pointed);
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("focus", () => { if (at === null) show(scale.count - 1); });
  svg.addEventListener("blur", hide);
  svg.addEventListener("keydown", (event) => {
    const from = at ?? scale.count;
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: scale.count - 1 }[event.key];
    if (event.key === "Escape") hide();
    if (to === undefined) return;
    event.preventDefault();
    show(to);
  });
}
