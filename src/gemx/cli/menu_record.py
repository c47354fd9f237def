"""The menus of what is on record: figures and their report; the audit log itself."""

from __future__ import annotations

from collections.abc import Mapping

from gemx.cli import menu_run, output, questions
from gemx.cli.form import Field, Reading
from gemx.cli.menu_form import Form
from gemx.cli.questions import Choice
from gemx.errors import InputError, StorageError

_BACK = ""
_REPORT = "stats report"
STATISTICS = {
    "stats summary": "Resumo: chamadas, custo, tempos, verificação",
    _REPORT: "Relatório em uma página, com gráficos…",
    "stats models": "Por modelo",
    "stats automations": "Por automação",
    "stats cost": "Custo",
    "stats findings": "Achados da verificação",
    "stats errors": "Falhas e recusas",
}
LOG = {
    "logs browse": "Procurar nas execuções",
    "logs list": "As últimas chamadas",
    "logs verify": "Conferir se o registro está íntegro",
}
_PERIODS = {
    "": "Tudo o que está registrado",
    "7d": "Últimos 7 dias",
    "30d": "Últimos 30 dias",
    "90d": "Últimos 90 dias",
}


def statistics() -> None:
    """Show figures, or write their report."""
    _choose("Uso, custos e relatório", STATISTICS)


def log() -> None:
    """Search the log, or have it verified."""
    _choose("Registro de auditoria", LOG)


def _choose(title: str, commands: Mapping[str, str]) -> None:
    choices = [*(Choice(words, said) for words, said in commands.items()), Choice(_BACK, "Voltar")]
    chosen = None
    while True:
        try:
            chosen = questions.choose(title, choices, chosen)
        except KeyboardInterrupt:
            return
        if chosen == _BACK:
            return
        if chosen == _REPORT:
            _report()
        else:
            menu_run.run(chosen.split())


def _report() -> None:
    periods = tuple(Choice(value, said) for value, said in _PERIODS.items())
    fields = {
        "since": Field("Período", "", _period, choices=periods),
        "html": Field("Gravar em", "um arquivo .html", _page, required=True),
    }
    form = Form("Relatório de uso", fields, loaded={"since": "30d", "html": "uso.html"}, check=_problem)
    try:
        form.complete()
    except KeyboardInterrupt:
        return
    since = form.values.get("since", "")
    menu_run.run([*_REPORT.split(), "--html", form.values["html"], *(["--since", since] if since else [])])


def _period(text: str) -> Reading:
    return Reading(_PERIODS[text])


def _page(text: str) -> Reading:
    name = text.strip()
    if name and not name.lower().endswith((".html", ".htm")):
        raise InputError("o nome do arquivo termina em .html")
    return Reading(name or None)


def _problem(values: Mapping[str, str]) -> str | None:
    from gemx import places

    try:
        output.check_writable(places.user_path(values["html"].strip()))
    except StorageError:
        return "não é possível gravar nesse caminho"
    return None
