"""The contract `protocolo/v1`: the one form of a clinical answer, whoever wrote it.

The JSON Schema constrains providers that can be constrained; `read_answer` validates every answer again, whatever the
provider promised. Whether the clinical content is right is not decided here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, WithJsonSchema

from gemx import strict_json
from gemx.clinical.findings import Finding
from gemx.documents import Passage

CONTRACT = "protocolo/v1"
_LARGEST = Decimal(1_000_000_000)
_MOST_ERRORS = 20
_FEWEST_WORDS = 3
_LEFT_OUT = ("title", "description", "minLength", "maxLength")


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise ValueError(f"esperado um número, não {str(value)[:40]!r}")
    number = Decimal(value)
    if not 0 <= number <= _LARGEST:
        raise ValueError(f"{str(value)[:40]} não está entre 0 e {_LARGEST}")
    return number


Number = Annotated[
    Decimal,
    PlainValidator(_number),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": int(_LARGEST)}),
]
Short = Annotated[str, Field(min_length=1, max_length=2000)]


class ContractModel(BaseModel):
    """A part of the contract: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Amount(ContractModel):
    """A value with its unit."""

    valor: Number
    unidade: Annotated[str, Field(min_length=1, max_length=40)]


class Citation(ContractModel):
    """A passage by its id, and words copied from it."""

    id: Annotated[str, Field(min_length=1, max_length=200)]
    trecho: Short


Citations = Annotated[list[Citation], Field(max_length=20)]


class Assessment(ContractModel):
    """A finding in this patient and what it means."""

    achado: Short
    interpretacao: Short
    fontes: Citations = []


class Presentation(ContractModel):
    """The product as it is sold."""

    texto: Short
    massa: Amount | None = None
    volume: Amount | None = None


class Dilution(ContractModel):
    """What the drug is diluted in, and what comes of it."""

    diluente: Short
    volume_diluente: Amount | None = None
    volume_final: Amount | None = None
    concentracao: Amount | None = None


class Dosage(ContractModel):
    """How much, by which route, how often, how fast."""

    dose: Amount | None = None
    peso_kg: Number | None = None
    peso_tipo: Short | None = None
    dose_total: Amount | None = None
    dose_diaria: Amount | None = None
    volume: Amount | None = None
    via: Short | None = None
    intervalo_h: Number | None = None
    velocidade: Amount | None = None
    dose_maxima: Amount | None = None
    duracao: Short | None = None


class Prescription(ContractModel):
    """One row of the pharmacotherapy; everything but the drug may be null."""

    farmaco: Annotated[str, Field(min_length=1, max_length=200)]
    base_ou_sal: Literal["base", "sal"] | None = None
    indicacao: Short | None = None
    ordem: Annotated[int, Field(ge=1, le=100)] | None = None
    condicao: Short | None = None
    fase: Literal["ataque", "manutencao"] | None = None
    modo: Literal["unica", "intermitente", "continua"] | None = None
    apresentacao: Presentation | None = None
    quantidade: Number | None = None
    diluicao: Dilution | None = None
    posologia: Dosage | None = None
    tempo_infusao: Short | None = None
    titulacao: Short | None = None
    acesso: Short | None = None
    ajuste_renal: Short | None = None
    monitorizacao: Short | None = None
    fontes: Citations = []


class Criterion(ContractModel):
    """If this, then that."""

    se: Short
    entao: Short
    fontes: Citations = []


class ChecklistItem(ContractModel):
    """Something to do, within `prazo_min` minutes of `a_partir_de`."""

    item: Short
    prazo_min: Annotated[int, Field(ge=0, le=100_000)] | None = None
    a_partir_de: Short | None = None
    fontes: Citations = []


class Avoid(ContractModel):
    """Something not to do."""

    item: Short
    fontes: Citations = []


class Disposition(ContractModel):
    """Where the patient should be cared for."""

    local: Short
    justificativa: Short
    fontes: Citations = []


class Answer(ContractModel):
    """A whole answer."""

    resumo: Short
    avaliacao: Annotated[list[Assessment], Field(max_length=60)]
    farmacoterapia: Annotated[list[Prescription], Field(max_length=60)]
    criterios_decisao: Annotated[list[Criterion], Field(max_length=60)]
    checklist: Annotated[list[ChecklistItem], Field(max_length=60)]
    dados_faltantes: Annotated[list[Short], Field(max_length=60)] = []
    nao_fazer: Annotated[list[Avoid], Field(max_length=60)] = []
    destino: Disposition | None = None

    def to_json(self) -> str:
        """The answer as JSON text, numbers as they were written."""
        return json.dumps(plain(self), ensure_ascii=False)


def json_schema() -> dict[str, Any]:
    """The contract as a JSON Schema (draft 2020-12) that Gemini, OpenAI-compatible servers and llguidance take.

    Lengths of texts are checked by `read_answer` alone: llama.cpp's own grammars unroll them, and end its server.
    """
    return _bare(Answer.model_json_schema())


def read_answer(text: str) -> tuple[Answer | None, list[Finding]]:
    """The answer in a reply's text, or None and every way in which it breaks the contract."""
    try:
        value = strict_json.loads(text)
    except ValueError as exc:
        return None, [_error("contract.json", "", f"não é JSON válido: {exc}")]
    try:
        return Answer.model_validate(value), []
    except ValidationError as exc:
        errors = exc.errors(include_url=False)
        return None, [_broken(error) for error in errors[:_MOST_ERRORS]]


def check_answer(answer: Answer, passages: Sequence[Passage], sections: Sequence[str]) -> list[Finding]:
    """What a well-formed answer still owes: required sections, sources, and citations whose words are there."""
    empty = [
        _error("contract.section", section, "esta seção não pode ficar vazia")
        for section in sections
        if not getattr(answer, section)
    ]
    missing = [
        Finding("citation.missing", "warning", f"{path}.fontes", "afirmação sem fonte")
        for path, cited in _statements(answer)
        if not cited
    ]
    known = {passage.id: " ".join(passage.text.split()) for passage in passages}
    cited = [(f"{path}.fontes[{n}]", item) for path, sources in _statements(answer) for n, item in enumerate(sources)]
    wrong = [found for path, citation in cited if (found := _citation(path, citation, known))]
    return [*empty, *wrong, *missing]


def _statements(answer: Answer) -> Iterator[tuple[str, list[Citation]]]:
    """Every statement's path and citations."""
    for section in ("avaliacao", "farmacoterapia", "criterios_decisao", "checklist", "nao_fazer"):
        for row, item in enumerate(getattr(answer, section)):
            yield f"{section}[{row}]", item.fontes
    if answer.destino:
        yield "destino", answer.destino.fontes


def plain(value: Any) -> Any:
    """A model, or anything in it, as JSON values; a Decimal becomes an int or the nearest float."""
    if isinstance(value, BaseModel):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def _citation(path: str, citation: Citation, known: Mapping[str, str]) -> Finding | None:
    if citation.id not in known:
        near = ", ".join(sorted(known)) or "nenhum"
        return Finding("citation.unknown", "error", f"{path}.id", "este trecho não existe", near, citation.id)
    passage, words = known[citation.id], " ".join(citation.trecho.split())
    if words not in passage:
        message = f"estas palavras não estão no trecho {citation.id}"
        return Finding("citation.words", "error", f"{path}.trecho", message, passage, citation.trecho)
    if len(words.split()) < _FEWEST_WORDS and words != passage:
        message = f"menos de {_FEWEST_WORDS} palavras não provam o que diz o trecho {citation.id}"
        return Finding("citation.words", "error", f"{path}.trecho", message, passage, citation.trecho)
    return None


def _broken(error: Any) -> Finding:
    path = ""
    for part in error["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return _error("contract.schema", path.lstrip("."), _in_portuguese(error))


def _in_portuguese(error: Any) -> str:
    context: dict[str, Any] = error.get("ctx", {})
    said = {
        "missing": "falta este campo",
        "extra_forbidden": "este campo não existe no contrato",
        "string_type": "esperado um texto",
        "list_type": "esperada uma lista",
        "int_type": "esperado um número inteiro",
        "model_type": "esperado um objeto",
        "literal_error": f"esperado um de: {str(context.get('expected')).replace(' or ', ' ou ')}",
        "too_long": f"itens demais; no máximo {context.get('max_length')}",
        "string_too_long": f"texto longo demais; no máximo {context.get('max_length')} caracteres",
        "string_too_short": "este texto não pode ficar vazio",
        "greater_than_equal": f"esperado no mínimo {context.get('ge')}",
        "less_than_equal": f"esperado no máximo {context.get('le')}",
    }
    return said.get(error["type"]) or str(error["msg"]).removeprefix("Value error, ")


def _error(code: str, path: str, message: str) -> Finding:
    return Finding(code, "error", path, message)


def _bare(node: Any) -> Any:
    """Without what every call would pay for (titles, descriptions) and what breaks servers (lengths of texts)."""
    if isinstance(node, list):
        return [_bare(item) for item in node]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(node, dict):
        return node
    return {key: _bare(value) for key, value in node.items() if key not in _LEFT_OUT}  # pyright: ignore[reportUnknownVariableType]
