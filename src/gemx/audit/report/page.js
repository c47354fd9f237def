// The page as a whole: what it is about, its filters, and what is shown for them.

function render() {
  const cells = chosen(), total = added(cells);
  const report = document.getElementById("report");
  charts = [];
  if (total.calls || total.refused || total.answers) {
    const tables = [...codeSections(total), modelSection(cells), workSection(cells), peopleSection()];
    report.replaceChildren(tiles(total), ...chartSections(cells), ...tables);
  } else {
    report.replaceChildren(nothing());
  }
  drawAll();
  document.getElementById("selection").textContent = DATA.cells.length ? selected(total) : "";
}

function nothing() {
  const [title, said] = DATA.cells.length
    ? ["Nada com estes filtros", "Escolha outro período, modelo ou automação."]
    : ["Nada registrado neste período", "Quando o gemx chamar um modelo, as contas aparecem aqui."];
  const made = section(title, null, element("p", { class: "empty" }, said));
  made.classList.add("wide");
  return made;
}

// On paper the filters are not there: this says what they were.
function selected(total) {
  const days = DATA.periods.slice(DATA.windows[state.window]);
  const parts = [`${calls(total.calls)} em ${plural(days.length, GRAIN[1], GRAIN[2])}, desde ${wholeDay(days[0])}`];
  if (state.model !== ALL) parts.push(`só o modelo ${modelName(state.model)}`);
  if (state.work !== ALL) parts.push(`só ${workName(state.work)}`);
  return `${parts.join("; ")}.`;
}

function drawAll(width) {
  for (const each of charts) each.draw(width);
}

function filters() {
  const form = document.getElementById("filters");
  const last = DATA.grain === "week" ? "Últimas" : "Últimos";
  const windows = DATA.windows.map((first, place) =>
    [place, place ? `${last} ${DATA.periods.length - first} ${GRAIN[2]}` : "Todo o período"]);
  const places = (list, name) => list.map((_, place) => [place, name(place)]);
  const works = [[ALL, "Tudo o que se executou"], ...places(DATA.works, workName)];
  const clear = element("button", { type: "button", hidden: true }, "Limpar filtros");
  form.replaceChildren(
    choice("window", "Período", windows),
    choice("model", "Modelo", [[ALL, "Todos os modelos"], ...places(DATA.models, modelName)]),
    choice("work", "Automação, fluxo ou comando", works),
    clear);
  const update = () => {
    for (const each of form.querySelectorAll("select")) state[each.name] = Number(each.value);
    clear.hidden = state.window === 0 && state.model === ALL && state.work === ALL;
    render();
  };
  clear.addEventListener("click", () => {
    for (const each of form.querySelectorAll("select")) each.selectedIndex = 0;
    update();
    form.querySelector("select").focus();
  });
  form.addEventListener("change", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = !DATA.cells.length;
}

function choice(name, title, options) {
  const made = options.map(([value, text]) => element("option", { value }, text));
  return element("label", {}, title, element("select", { name, autocomplete: "off" }, ...made));
}

function about() {
  const { since, until, model } = DATA.asked;
  const period = [since ? `de ${wholeDay(since)}` : "", until ? `até ${wholeDay(until)}` : since ? "até hoje" : ""];
  const parts = [
    period.filter(Boolean).join(" "), model ? `só o modelo ${model}` : "", `feito em ${DATA.made} (${DATA.zone})`,
  ];
  const text = parts.filter(Boolean).join("; ");
  document.getElementById("about").textContent = `${text[0].toUpperCase()}${text.slice(1)}.`;
}

function notes() {
  const list = element("ul", {}, ...DATA.notes.map((text) => element("li", {}, text)));
  document.getElementById("notes").replaceChildren(element("h2", {}, "Sobre estes números"), list);
}

about();
filters();
render();
notes();
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width) return;
  width = innerWidth;
  drawAll();
});
addEventListener("beforeprint", () => drawAll(640));
addEventListener("afterprint", () => drawAll());
