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
_LEFT_OUT = ("title", "description", "minLength", "maxLength")


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise ValueError(f"expected a JSON number, not {str(value)[:40]!r}")
    number = Decimal(value)
    if not 0 <= number <= _LARGEST:
        raise ValueError(f"{str(value)[:40]} is not between 0 and {_LARGEST}")
    return number


Number = Annotated[
    Decimal,
    PlainValidator(_number),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": int(_LARGEST)}),
]
Short = Annotated[str, Field(min_length=1, max_length=2000)]


class Part(BaseModel):
    """A part of an answer: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Amount(Part):
    """A value with its unit."""

    valor: Number
    unidade: Annotated[str, Field(min_length=1, max_length=40)]


class Citation(Part):
    """A passage by its id, and words copied from it."""

    id: Annotated[str, Field(min_length=1, max_length=200)]
    trecho: Short


Citations = Annotated[list[Citation], Field(max_length=20)]


class Assessment(Part):
    """A finding in this patient and what it means."""

    achado: Short
    interpretacao: Short
    fontes: Citations = []


class Presentation(Part):
    """The product as it is sold."""

    texto: Short
    massa: Amount | None = None
    volume: Amount | None = None


class Dilution(Part):
    """What the drug is diluted in, and what comes of it."""

    diluente: Short
    volume_diluente: Amount | None = None
    volume_final: Amount | None = None
    concentracao: Amount | None = None


class Dosage(Part):
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


class Prescription(Part):
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


class Criterion(Part):
    """If this, then that."""

    se: Short
    entao: Short
    fontes: Citations = []


class ChecklistItem(Part):
    """Something to do, within `prazo_min` minutes of `a_partir_de`."""

    item: Short
    prazo_min: Annotated[int, Field(ge=0, le=100_000)] | None = None
    a_partir_de: Short | None = None
    fontes: Citations = []


class Avoid(Part):
    """Something not to do."""

    item: Short
    fontes: Citations = []


class Disposition(Part):
    """Where the patient should be cared for."""

    local: Short
    justificativa: Short
    fontes: Citations = []


class Answer(Part):
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
        return None, [_error("contract.json", "", f"not JSON: {exc}")]
    try:
        return Answer.model_validate(value), []
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_context=False)
        return None, [_broken(error) for error in errors[:_MOST_ERRORS]]


def check_answer(answer: Answer, passages: Sequence[Passage], sections: Sequence[str]) -> list[Finding]:
    """What a well-formed answer still owes: sections that may not be empty, and citations whose words are there."""
    empty = [
        _error("contract.section", section, "this section may not be empty")
        for section in sections
        if not getattr(answer, section)
    ]
    known = {passage.id: " ".join(passage.text.split()) for passage in passages}
    wrong = [found for path, citation in citations(answer) if (found := _citation(path, citation, known))]
    return [*empty, *wrong]


def citations(answer: Answer) -> Iterator[tuple[str, Citation]]:
    """Every citation with its path."""
    sections = ("avaliacao", "farmacoterapia", "criterios_decisao", "checklist", "nao_fazer")
    for section in sections:
        for row, item in enumerate(getattr(answer, section)):
            for index, citation in enumerate(item.fontes):
                yield f"{section}[{row}].fontes[{index}]", citation
    for index, citation in enumerate(answer.destino.fontes if answer.destino else []):
        yield f"destino.fontes[{index}]", citation


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
        return _error("citation.unknown", f"{path}.id", f"there is no passage {citation.id!r}")
    if " ".join(citation.trecho.split()) not in known[citation.id]:
        return _error("citation.words", f"{path}.trecho", f"these words are not in the passage {citation.id!r}")
    return None


def _broken(error: Any) -> Finding:
    path = ""
    for part in error["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    message = str(error["msg"]).removeprefix("Value error, ")
    return _error("contract.schema", path.lstrip("."), f"{message[:1].lower()}{message[1:]}")


def _error(code: str, path: str, message: str) -> Finding:
    return Finding(code, "error", path, message)


def _bare(node: Any) -> Any:
    """Without what every call would pay for (titles, descriptions) and what breaks servers (lengths of texts)."""
    if isinstance(node, list):
        return [_bare(item) for item in node]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(node, dict):
        return node
    return {key: _bare(value) for key, value in node.items() if key not in _LEFT_OUT}  # pyright: ignore[reportUnknownVariableType]
