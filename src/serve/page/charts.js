// Bars with intervals, and tables: what the comparison of models is drawn with.
"use strict";

/** An element with texts and elements inside; texts are only ever text. */
function make(name, attributes = {}, ...inside) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  made.append(...inside);
  return made;
}

function draw(name, attributes, text) {
  const drawn = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) drawn.setAttribute(key, value);
  if (text !== undefined) drawn.textContent = text;
  return drawn;
}

function number(value) {
  if (typeof value !== "number") return "–";
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 1 ? 2 : 4;
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Horizontal bars, one a row of `{name, value, low, high}`, the largest first; as wide as there is room. */
function bars(rows, title, room) {
  const isNarrow = room < 560;
  const wide = Math.min(Math.max(room, 300), 980);
  const [row, left, right] = isNarrow ? [34, 104, 66] : [38, 170, 190];
  const letters = isNarrow ? 13 : 20;
  const most = Math.max(...rows.map((one) => one.high ?? one.value), 0) || 1;
  const best = Math.max(...rows.map((one) => one.value));
  const x = (value) => left + (Math.max(value, 0) / most) * (wide - left - right);
  const high = rows.length * row + 8;
  const chart = draw("svg", { class: "chart", viewBox: `0 0 ${wide} ${high}`, width: wide, height: high, role: "img", "aria-label": title });
  chart.append(draw("line", { class: "axis", x1: left, x2: left, y1: 0, y2: high }));
  rows.forEach((one, index) => {
    const middle = index * row + row / 2 + 4;
    const name = one.name.length > letters ? `${one.name.slice(0, letters - 1)}…` : one.name;
    chart.append(
      draw("text", { x: left - 12, y: middle + 5, "text-anchor": "end" }, name),
      draw("rect", {
        class: one.value === best ? "bar best" : "bar", x: left, y: middle - 11, rx: 3, height: 22,
        width: Math.max(x(one.value) - left, 1),
      }),
    );
    let words = number(one.value);
    let end = x(one.value);
    if (typeof one.low === "number" && one.high > one.low) {
      end = x(one.high);
      chart.append(draw("path", {
        class: "whisker",
        d: `M${x(one.low)} ${middle}H${end}M${x(one.low)} ${middle - 5}v10M${end} ${middle - 5}v10`,
      }));
      if (!isNarrow) words += `  (${number(one.low)}–${number(one.high)})`;
    }
    chart.append(draw("text", { class: "value", x: end + 10, y: middle + 5 }, words));
  });
  return chart;
}

/** A table; cells that are numbers stand to the right. */
function table(header, rows, className = () => "") {
  const numeric = header.map((_, column) => rows.every((row) => ["number", "undefined"].includes(typeof row[column])));
  const cell = (name, value, column) => {
    const text = value instanceof Node ? value : typeof value === "number" ? number(value) : value ?? "–";
    return make(name, { class: numeric[column] ? "number" : null, scope: name === "th" ? "col" : null }, text);
  };
  return make("table", {},
    make("thead", {}, make("tr", {}, ...header.map((text, column) => cell("th", text, column)))),
    make("tbody", {}, ...rows.map((row) =>
      make("tr", { class: className(row) || null }, ...row.map((value, column) => cell("td", value, column))))));
}
