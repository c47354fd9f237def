// The parts of the page: tiles, charts with their tables, tables of names and of codes.

const opened = new Set();
let charts = [];

const tokens = (whole, part, said) => `${compact(whole)} (${compact(part)} ${said})`;

function tiles(total) {
  const [[middle, most, nearlyAll]] = times();
  const imported = total.imported ? `, ${count(total.imported)} de registros importados` : "";
  const repaired = total.repairs ? `; ${plural(total.repairs, "devolvida", "devolvidas")} para correção` : "";
  const unpriced = total.unpriced ? `mais ${calls(total.unpriced)} de custo desconhecido` : "de todas as chamadas";
  const spread = `mediana; 95 % em até ${seconds(most)}, 99 % em até ${seconds(nearlyAll)}`;
  const verified = `${count(total.verified)} de ${count(total.answers)}${repaired}`;
  const others = `${count(total.retries)}; e ${plural(total.fallbacks, "troca", "trocas")} para outro modelo`;
  const tokensIn = tokens(total.input_tokens, total.cached_tokens, "em cache");
  const tokensOut = tokens(total.output_tokens, total.reasoning_tokens, "de raciocínio");
  return element("dl", { class: "tiles" },
    tile("Chamadas a modelos", count(total.calls), `em ${plural(total.messages, "pedido", "pedidos")}${imported}`),
    tile("Custo conhecido", knownCost(total), total.calls ? unpriced : ""),
    tile("Tempo de resposta", seconds(middle), middle === null ? "" : spread),
    tile("Respostas clínicas verificadas", verifiedShare(total), total.answers ? verified : "nenhuma foi conferida"),
    tile("Chamadas com falha", failureShare(total), `${count(total.failed)} de ${count(total.calls)}`),
    tile("Recusadas antes do envio", count(total.refused), "pelo próprio gemx: gasto, privacidade, limites"),
    tile("Novas tentativas", share(total.retries, total.calls), others),
    tile("Tokens", compact(total.input_tokens + total.output_tokens), `entrada ${tokensIn}; saída ${tokensOut}`));
}

function tile(title, value, detail) {
  const said = [element("div", { class: "value" }, value), element("div", { class: "detail" }, detail)];
  return element("div", { class: "tile" }, element("dt", {}, title), element("dd", {}, ...said));
}

function section(title, hint, ...children) {
  const wide = children.some((child) => child.classList.contains("stack")) ? "wide" : null;
  const said = hint ? element("p", { class: "hint" }, hint) : null;
  return element("section", { class: wide }, element("h2", {}, title), said, ...children);
}

// --- charts ---

function chartSections(cells) {
  const periods = by(cells, 0), first = DATA.windows[state.window], none = added([]);
  const all = DATA.periods.slice(first).map((_, place) => periods.get(place + first) ?? none);
  const found = DATA.times[`${state.model},${state.work}`]?.periods ?? [];
  const time = (rank) => all.map((_, place) => found[place + first]?.[rank] ?? null);
  return [callsChart(all), costChart(all), timeChart(time(0), time(1), time(2)), answersChart(all)];
}

function callsChart(all) {
  return plotted("Chamadas", null, {
    kind: "bars", unit: "chamadas",
    series: [
      { name: "concluídas", colour: "blue", values: all.map((each) => Math.max(0, each.calls - each.failed)) },
      { name: "com falha", colour: "red", values: all.map((each) => each.failed) },
      { name: "recusadas antes do envio", colour: "grey", values: all.map((each) => each.refused) },
    ],
    columns: [
      ["Chamadas", (place) => count(all[place].calls)],
      ["Com falha", (place) => count(all[place].failed)],
      ["Recusadas", (place) => count(all[place].refused)],
    ],
    tip: (place) => [
      calls(all[place].calls),
      `${count(all[place].failed)} com falha (${failureShare(all[place])})`,
      `${count(all[place].refused)} recusadas antes do envio`,
    ],
  });
}

function costChart(all) {
  const unpriced = sum(all.map((each) => each.unpriced));
  const apart = `De ${calls(unpriced)} o custo é desconhecido: ${unpriced === 1 ? "fica" : "ficam"} de fora.`;
  return plotted("Custo", unpriced ? apart : null, {
    kind: "bars", unit: "dólares (US$)",
    series: [{ name: "custo", colour: "green", values: all.map((each) => each.known) }],
    columns: [
      ["Custo conhecido", (place) => knownCost(all[place])],
      ["De custo desconhecido", (place) => count(all[place].unpriced)],
    ],
    tip: (place) => [
      all[place].known === null ? "custo desconhecido" : knownCost(all[place]),
      `${calls(all[place].calls)}, ${count(all[place].unpriced)} de custo desconhecido`,
    ],
  });
}

function timeChart(p50, p95, p99) {
  const hint = "Das chamadas concluídas: metade até a mediana, 95 % e 99 % até as outras linhas.";
  const lines = (place) =>
    [`mediana ${seconds(p50[place])}`, `95 % até ${seconds(p95[place])}`, `99 % até ${seconds(p99[place])}`];
  return plotted("Tempo de resposta", hint, {
    kind: "lines", unit: "segundos",
    series: [
      { name: "mediana", colour: "blue", values: p50 },
      { name: "95 %", colour: "amber", values: p95 },
      { name: "99 %", colour: "purple", values: p99 },
    ],
    columns: [["Mediana", p50], ["95 % até", p95], ["99 % até", p99]].map(([name, values]) =>
      [name, (place) => seconds(values[place])]),
    tip: (place) => p50[place] === null ? ["nenhuma chamada concluída"] : lines(place),
  });
}

function answersChart(all) {
  const hint = "Verificada: contas, doses, citações e contrato conferidos por código, sem erro nem dado que falte.";
  const unverified = (each) => Math.max(0, each.answers - each.verified);
  return plotted("Respostas clínicas", hint, {
    kind: "bars", unit: "respostas",
    series: [
      { name: "verificadas", colour: "green", values: all.map((each) => each.verified) },
      { name: "não verificadas", colour: "amber", values: all.map(unverified) },
    ],
    columns: [
      ["Conferidas", (place) => count(all[place].answers)],
      ["Verificadas", (place) => count(all[place].verified)],
      ["Parcela", (place) => verifiedShare(all[place])],
    ],
    tip: (place) => [
      `${count(all[place].verified)} verificadas de ${count(all[place].answers)}`,
      `parcela: ${verifiedShare(all[place])}`,
    ],
  });
}

function plotted(what, hint, spec) {
  const starts = DATA.periods.slice(DATA.windows[state.window]), title = `${what} ${GRAIN[0]}`;
  const whole = { ...spec, title, tick: short, labels: starts.map(axisLabel), names: starts.map(periodName) };
  const made = chart(whole);
  charts.push(made);
  return section(title, hint, made.element, behind(whole));
}

// The values of a chart as a table, the newest first.
function behind(spec) {
  const first = GRAIN[1][0].toUpperCase() + GRAIN[1].slice(1);
  const rows = spec.names.map((name, place) => {
    const cells = spec.columns.map(([, value]) => element("td", {}, value(place)));
    return element("tr", {}, element("th", { scope: "row" }, name), ...cells);
  });
  const columns = [first, ...spec.columns.map(([name]) => name)];
  const made = element("table", {}, head(columns), element("tbody", {}, ...rows.reverse()));
  const scroll = element("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": spec.title }, made);
  const details = element("details", { open: opened.has(spec.title) },
    element("summary", {}, "Ver como tabela"), scroll);
  details.addEventListener("toggle", () => opened[details.open ? "add" : "delete"](spec.title));
  return details;
}

// --- tables ---

const head = (columns) =>
  element("thead", {}, element("tr", {}, ...columns.map((name) => element("th", { scope: "col" }, name))));

// Rows with a name, a bar of how much of the most it is, and cells; one of many cells is a block on a narrow screen.
function table(columns, rows, none) {
  if (!rows.length) return element("p", { class: "empty" }, none);
  const most = Math.max(1, ...rows.map((row) => row.weight));
  const made = rows.map((row) => {
    const bar = element("span", { class: `bar ${row.colour ?? ""}`, "aria-hidden": "true" });
    bar.style.width = `${100 * row.weight / most}%`;
    const code = row.code ? element("span", { class: "code" }, row.code) : null;
    const name = element("th", { scope: "row" }, element("span", { class: "name" }, row.name), code, bar);
    const cells = row.cells.map((cell, place) =>
      element("td", { "data-label": columns[place + 1] }, element("span", {}, ...[cell].flat())));
    return element("tr", {}, name, ...cells);
  });
  const stack = columns.length > 3 ? "stack" : null;
  return element("table", { class: stack }, head(columns), element("tbody", {}, ...made));
}

const failed = (each) => each.failed ? `${count(each.failed)} (${failureShare(each)})` : "0";
const isOthers = (row) => typeof row.raw === "number";
const weighed = (rows) => rows.sort((one, other) => isOthers(one) - isOthers(other) || other.weight - one.weight);

// What is not known stands apart, below what is.
function cost(each) {
  if (!each.calls) return UNKNOWN;
  const apart = element("span", { class: "code" }, `${count(each.unpriced)} de custo desconhecido`);
  return [knownCost(each), each.unpriced && each.known !== null ? apart : ""];
}

function modelSection(cells) {
  const rows = [...by(cells, 1)].map(([place, each]) => {
    const [[middle, most], [firstText]] = times(place);
    const spent = [compact(each.input_tokens), compact(each.output_tokens), cost(each)];
    return {
      name: modelName(place), raw: DATA.models[place], weight: each.calls,
      cells: [count(each.calls), failed(each), ...spent, seconds(middle), seconds(most), seconds(firstText)],
    };
  });
  const hint = "Entrada e saída em tokens. Mediana e 95 % do tempo de resposta, e a mediana até o primeiro texto.";
  const columns = ["Chamadas", "Falhas", "Entrada", "Saída", "Custo", "Mediana", "95 % até", "Primeiro texto"];
  return section("Modelos", hint, table(["Modelo", ...columns], weighed(rows), "nenhum"));
}

function workSection(cells) {
  const rows = [...by(cells, 2)].map(([place, each]) => {
    const [[middle, most]] = times(state.model, place);
    const checked = [count(each.answers), verifiedShare(each)], took = [seconds(middle), seconds(most)];
    return {
      name: workName(place), raw: DATA.works[place], weight: each.calls, colour: "purple",
      cells: [count(each.calls), failed(each), count(each.refused), cost(each), ...took, ...checked],
    };
  });
  const hint = "O que se executou: o fluxo, ou a automação, ou então o comando.";
  const columns = ["Chamadas", "Falhas", "Recusadas", "Custo", "Mediana", "95 % até", "Conferidas", "Verificadas"];
  return section("Automações, fluxos e comandos", hint, table(["Nome", ...columns], weighed(rows), "nenhum"));
}

function peopleSection() {
  const people = new Map();
  for (const [window, model, work, user, ...counted] of DATA.people) {
    if (window < state.window || !isChosen(model, work)) continue;
    const before = people.get(user) ?? [0, 0, 0, 0];
    people.set(user, before.map((value, place) => value + counted[place]));
  }
  const rows = [...people].map(([place, [calls, failures, spent, unpriced]]) => {
    const each = priced({ calls, failed: failures, cost: spent, unpriced });
    return {
      name: userName(place), raw: DATA.users[place], weight: calls, colour: "grey",
      cells: [count(calls), failed(each), cost(each)],
    };
  });
  const columns = ["Conta", "Chamadas", "Falhas", "Custo"];
  return section("Quem usou", "A conta no sistema que executou o gemx.", table(columns, weighed(rows), "nenhuma"));
}

// --- codes ---

const split = (code) => [code.slice(0, code.indexOf(" ")), code.slice(code.indexOf(" ") + 1)];
const errorSaid = (code) => ERRORS.has(code) ? { name: ERRORS.get(code), code } : { name: code, code: null };

function findingSaid(code) {
  const [severity, rest] = split(code), label = SEVERITIES.get(severity) ?? severity;
  return MEANINGS.has(rest) ? { name: MEANINGS.get(rest), code: `${label} · ${rest}` } : { name: rest, code: label };
}

function codeSections(total) {
  const severity = (code) => COLOURS.get(split(code)[0]) ?? "grey";
  const findings = codeTable("findings", ["Achado", "Vezes"], total, findingSaid, severity, "nenhum achado");
  const failures = codeTable("failures", ["Falha", "Chamadas"], total, errorSaid, () => "red", "nenhuma falha");
  const refusals = codeTable("refusals", ["Recusa antes do envio", "Vezes"], total, errorSaid, () => "grey", "");
  const hint = "O que o código encontrou nas respostas clínicas, por regra.";
  return [
    section("Achados da verificação", hint, findings),
    section("Falhas e recusas", null, failures, ...(total.refused ? [refusals] : [])),
  ];
}

function codeTable(kind, columns, total, said, colour, none) {
  const whole = sum(total[kind].values());
  const rows = [...total[kind]].map(([place, times]) => {
    const raw = DATA.codes[kind][place], row = { raw, weight: times, cells: [count(times), share(times, whole)] };
    if (isOthers(row)) return { ...row, name: plural(raw, "outro código", "outros códigos"), colour: "grey" };
    return { ...row, ...said(raw), colour: colour(raw) };
  });
  return table([...columns, "Parcela"], weighed(rows), none);
}
