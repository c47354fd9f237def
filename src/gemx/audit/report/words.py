"""Figures in pt-BR: numbers as Brazilians write them, and the names of what can go wrong. None is unknown, never 0."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from gemx.audit.report.about import About
from gemx.audit.report.periods import Grain

UNKNOWN = "—"
SEVERITIES = {
    "error": "erro",
    "conflict": "conflito",
    "warning": "aviso",
    "unverifiable": "não verificável",
}
# What a manager reads of the codes of errors.py, and of a record of a call.
ERRORS = {
    "auth": "chave de acesso recusada ou ausente",
    "blocked": "bloqueada pelos filtros do provedor",
    "budget": "barrada pelo limite de gasto",
    "command": "um comando do fluxo falhou",
    "config": "configuração com erro",
    "context_length": "texto maior do que o modelo aceita",
    "contract": "a resposta quebra o contrato",
    "empty_reply": "resposta vazia",
    "engine_crash": "o modelo local parou no meio",
    "input": "dado de entrada recusado",
    "interrupted": "interrompida por quem usava, ou pelo sistema",
    "invalid_request": "pedido recusado pelo provedor",
    "model_not_found": "modelo que o provedor não tem",
    "not_installed": "falta instalar uma parte opcional",
    "privacy": "barrada pela proteção de privacidade",
    "provider": "recusada pelo provedor",
    "quota": "cota do provedor esgotada",
    "rate_limit": "chamadas demais em um minuto",
    "storage": "não foi possível gravar em disco",
    "stream_cut": "resposta interrompida no meio",
    "timeout": "não respondeu a tempo",
    "truncated": "texto cortado no limite de tokens",
    "unavailable": "provedor indisponível",
    "unsupported": "o provedor não faz o que foi pedido",
}


def count(value: int) -> str:
    """A count, such as 12.345."""
    return f"{value:,}".replace(",", ".")


def decimal(value: float, digits: int) -> str:
    """A number with so many digits after the comma, such as 1.234,50."""
    # Halves go up, as in the numbers of the page.
    rounded = Decimal(repr(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{rounded:,f}".translate(_PT_BR)


def dollars(value: float) -> str:
    """An amount in US dollars, such as 1.234,50; with more digits where it would read as nothing."""
    return decimal(value, 2 if value == 0 or value >= 0.1 else 6 if value < 0.001 else 4)


def seconds(value: float | None) -> str:
    """A time, such as 2,4 s or 3 min 05 s."""
    if value is None:
        return UNKNOWN
    if value >= 119.5:
        minutes, rest = divmod(round(value), 60)
        return f"{count(minutes)} min {rest:02} s"
    return f"{decimal(value, 2 if value < 1 else 1)} s"


def share(part: int, whole: int) -> str:
    """A share, such as 3,4 %; what is not 0 does not read as 0, and what is not all does not read as 100."""
    if not whole:
        return UNKNOWN
    percent = 100 * part / whole
    if part:
        percent = max(percent, 0.1)
    if part < whole:
        percent = min(percent, 99.9)
    return f"{decimal(percent, 0 if part in (0, whole) else 1)} %"


def day(slot: str) -> str:
    """A day such as 2026-11-20 as 20/11/2026."""
    return "/".join(reversed(slot.split("-")))


def period(grain: Grain, start: str) -> str:
    """A period as a row names it: 20/11, the day a week began, 11/2026 or 2026."""
    first = date.fromisoformat(start)
    return f"{first:{_PERIODS[grain]}}"


def error(code: str) -> str:
    """What an error's code means; nothing where it is not one of gemx."""
    return ERRORS.get(code, "")


def notes(passed_over: int, prices: Sequence[str], grain: Grain, about: About) -> list[str]:
    """What must be known to read the figures, a sentence or two each."""
    said = [
        "Custo, em dólares: só das chamadas em que ele é conhecido. As outras (sem preço na tabela, ou sem resposta) "
        "são contadas à parte, e nunca valem zero.",
        "Uma chamada é cada tentativa de um pedido: novas tentativas e trocas de modelo contam também.",
        "Tempos das chamadas concluídas, com erro de no máximo 0,4 %: mediana, e o que 95 % e 99 % não passam.",
        "Verificada: contas, doses, citações e contrato conferidos por código, sem erro e sem dado que falte.",
        f"Dias no fuso {about.zone}.",
    ]
    if passed_over:
        lines = (
            "1 linha do registro não pôde ser lida e ficou"
            if passed_over == 1
            else f"{count(passed_over)} linhas do registro não puderam ser lidas e ficaram"
        )
        said.insert(0, f"{lines} fora destas contas; gemx logs verify diz onde.")
    if grain != "day":
        said.append("O registro é longo: o primeiro e o último período podem estar incompletos.")
    if prices:
        said.append(f"Tabelas de preços: {', '.join(prices)}.")
    return [*said, f"gemx {about.version}. Aqui não há texto de paciente nem de resposta."]


_PERIODS: dict[Grain, str] = {"day": "%d/%m", "week": "%d/%m/%Y", "month": "%m/%Y", "year": "%Y"}

_PT_BR = str.maketrans(",.", ".,")
