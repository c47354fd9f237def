"use strict";
// The data of the page, what the filters choose of it, and how numbers and names are written.

const DATA = JSON.parse(document.getElementById("data").textContent);
const ALL = -1, UNKNOWN = "—";
const KINDS = ["failures", "refusals", "findings"];
const GRAIN = {
  day: ["por dia", "dia", "dias"], week: ["por semana", "semana", "semanas"],
  month: ["por mês", "mês", "meses"], year: ["por ano", "ano", "anos"],
}[DATA.grain];
// Codes are foreign: a name such as constructor must not be found.
const ERRORS = new Map(Object.entries(DATA.errors)), MEANINGS = new Map(Object.entries(DATA.meanings));
const SEVERITIES = new Map(Object.entries(DATA.severities));
const COLOURS = new Map([["error", "red"], ["conflict", "purple"], ["warning", "amber"], ["unverifiable", "grey"]]);
const state = { window: 0, model: ALL, work: ALL };

// --- numbers, as Brazilians write them ---

const count = (value) => value.toLocaleString("pt-BR");
const decimal = (value, digits) =>
  value.toLocaleString("pt-BR", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const compact = (value) => value.toLocaleString("pt-BR", { notation: "compact", maximumFractionDigits: 1 });
const short = (value) => value < 1000 ? value.toLocaleString("pt-BR", { maximumFractionDigits: 6 }) : compact(value);
const plural = (value, one, many) => `${count(value)} ${value === 1 ? one : many}`;
const calls = (value) => plural(value, "chamada", "chamadas");

function dollars(value) {
  if (value === null) return UNKNOWN;
  return `US$ ${decimal(value, value === 0 || value >= 0.1 ? 2 : value < 0.001 ? 6 : 4)}`;
}

function seconds(value) {
  if (value === null || value === undefined) return UNKNOWN;
  if (value < 119.5) return `${decimal(value, value < 1 ? 2 : 1)} s`;
  const whole = Math.round(value);
  return `${count(Math.floor(whole / 60))} min ${String(whole % 60).padStart(2, "0")} s`;
}

function share(part, whole) {
  if (!whole) return UNKNOWN;
  let percent = 100 * part / whole;
  if (part) percent = Math.max(percent, 0.1);
  if (part < whole) percent = Math.min(percent, 99.9);
  return `${decimal(percent, part === 0 || part === whole ? 0 : 1)} %`;
}

// --- names ---

const named = (list, place, none, others) => {
  const name = list[place];
  return typeof name === "number" ? plural(name, ...others) : name || none;
};
const modelName = (place) => named(DATA.models, place, "(sem modelo)", ["outro modelo", "outros modelos"]);
const workName = (place) => named(DATA.works, place, "(sem nome)", ["outro", "outros"]);
const userName = (place) => named(DATA.users, place, "(sem nome)", ["outra conta", "outras contas"]);
const written = (iso, options) => new Date(`${iso}T00:00`).toLocaleDateString("pt-BR", options);
const dayAndMonth = (iso) => written(iso, { day: "2-digit", month: "2-digit" });
const wholeDay = (iso) => written(iso, { day: "2-digit", month: "2-digit", year: "numeric" });

function axisLabel(iso) {
  if (DATA.grain === "year") return iso.slice(0, 4);
  return DATA.grain === "month" ? written(iso, { month: "2-digit", year: "2-digit" }) : dayAndMonth(iso);
}

function periodName(iso) {
  if (DATA.grain === "day") return `${written(iso, { weekday: "short" })} ${wholeDay(iso)}`;
  if (DATA.grain === "week") return `semana de ${wholeDay(iso)}`;
  return DATA.grain === "month" ? written(iso, { month: "long", year: "numeric" }) : iso.slice(0, 4);
}

// --- adding up ---

function added(cells) {
  const total = { cost: 0 };
  for (const name of DATA.numbers) total[name] = 0;
  for (const kind of KINDS) total[kind] = new Map();
  for (const [, , , cost, numbers, ...codes] of cells) {
    total.cost += cost;
    DATA.numbers.forEach((name, place) => { total[name] += numbers[place]; });
    KINDS.forEach((kind, place) => addCodes(total[kind], codes[place]));
  }
  total.failed = sum(total.failures.values());
  total.refused = sum(total.refusals.values());
  return priced(total);
}

// The cost in dollars; where that of no call is known, it is unknown, and not nothing.
function priced(total) {
  total.cost /= 1e9;
  total.known = total.calls && total.unpriced === total.calls ? null : total.cost;
  return total;
}

function addCodes(counts, pairs) {
  for (let place = 0; place < pairs.length; place += 2) {
    counts.set(pairs[place], (counts.get(pairs[place]) ?? 0) + pairs[place + 1]);
  }
}

const sum = (values) => [...values].reduce((total, value) => total + value, 0);

const isChosen = (model, work) =>
  (state.model === ALL || model === state.model) && (state.work === ALL || work === state.work);

function chosen() {
  const first = DATA.windows[state.window];
  return DATA.cells.filter(([period, model, work]) => period >= first && isChosen(model, work));
}

function by(cells, place) {
  const groups = new Map();
  for (const cell of cells) {
    if (!groups.has(cell[place])) groups.set(cell[place], []);
    groups.get(cell[place]).push(cell);
  }
  return new Map([...groups].map(([key, found]) => [key, added(found)]));
}

function times(model = state.model, work = state.work) {
  return DATA.times[`${model},${work}`]?.windows[state.window] ?? [[null, null, null], [null, null, null]];
}

// --- what is said of figures that were added up ---

const knownCost = (each) => each.known === null ? "desconhecido" : dollars(each.cost);
const failureShare = (each) => share(each.failed, each.calls);
const verifiedShare = (each) => share(Math.min(each.verified, each.answers), each.answers);
