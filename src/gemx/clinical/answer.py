"""The contract `protocolo/v1`: the one form of a clinical answer, whoever wrote it.

The JSON Schema constrains providers that can be constrained; `read_answer` validates every answer again, whatever the
provider promised. Whether the clinical content is right is not decided here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, WithJsonSchema

from gemx import strict_json
from gemx.clinical.findings import Code, Finding

CONTRACT = "protocolo/v1"
# How an entry says that its condition cannot be judged for want of data.
TO_CONFIRM = "a confirmar"
_LARGEST = Decimal(1_000_000_000)
_MOST_ERRORS = 20
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


@cache
def json_schema() -> Mapping[str, Any]:
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


def _broken(error: Any) -> Finding:
    # An unknown key is the model's own word, which a path must not carry: it goes into the audit.
    location = error["loc"][:-1] if error["type"] == "extra_forbidden" else error["loc"]
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return _error("contract.schema", path.lstrip("."), _in_portuguese(error))


def _in_portuguese(error: Any) -> str:
    context: dict[str, Any] = error.get("ctx", {})
    said = {
        "missing": "falta este campo",
        "extra_forbidden": f"o campo {_key(error)!r} não existe no contrato",
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


def _key(error: Any) -> str:
    return str(error["loc"][-1])[:40] if error["loc"] else ""


def _error(code: Code, path: str, message: str) -> Finding:
    return Finding(code, "error", path, message)


def _bare(node: Any) -> Any:
    """Without what every call would pay for (titles, descriptions) and what breaks servers (lengths of texts)."""
    if isinstance(node, list):
        return [_bare(item) for item in node]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(node, dict):
        return node
    return {key: _bare(value) for key, value in node.items() if key not in _LEFT_OUT}  # pyright: ignore[reportUnknownVariableType]
