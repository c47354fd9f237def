"""What the key of an export says of its value: `nm_paciente`, `nomeMae`, `DTNASC`, `nrAtendimento`, `birthDate`.

The vocabulary is that of the tables of MV and Tasy (`nm_paciente`, `cd_pessoa_fisica`), of SINAN, SIM and SINASC
(`NM_PACIENT`, `DTNASC`, `NOMEMAE`), of the TISS guides of ANS (`numeroCarteira`, `nomeBeneficiario`), of FHIR
(`birthDate`) and of DICOM (`PatientName`). It knows nothing of where keys stand, nor of values.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

# A `weak_name` is also the name of a medicine, a file, a model: something else has to say that it is a person's.
Role = Literal["", "name", "weak_name", "given", "cpf", "cns", "rg", "phone", "cep", "birth_date", "record"]


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_NAME = _set("nome name sobrenome surname")
_NAMES_ALONE = (_set("ds nome"), _set("nm nome"), _set("sobrenome"), _set("surname"))
_NAME_PREFIX = _set("nm no nom ds")
_PERSON = _set(
    "paciente pacient pcte pct pac patient mae pai mother father genitora genitor filiacao beneficiario titular "
    "segurado usuario cidadao pessoa fisica responsavel acompanhante contato familiar conjuge esposo esposa filho "
    "filha rn completo full social civil first last middle given family maiden primeiro ultimo sobrenome"
)
_FILLER = _set("da de do das dos nr nro nu num numero no nm ds dt tx txt nome name of")
_WEAK = _set("nome name paciente patient mae pai mother father beneficiario")
_NUMBER = _set("n nr nro nu num numero number cd cod codigo co id")
_NUMBERED = _set(
    "paciente pacient pcte patient pessoa beneficiario atendimento atend internacao carteira registro guia "
    "encounter admission visit"
)
_RECORD = _set("prontuario pront mrn rghc matricula carteirinha aih")
_NO_RECORD = _set(
    "data dt date hora hr time tipo tp status situacao ds desc descricao nm nome name url modelo versao qtd qt total "
    "medico profissional prof conselho crm ans anvisa ms validade setor cbo cnes sala motivo origem carater"
)
_BIRTH = _set("nasc nascimento nascto dtnasc dob birthdate birthday birth aniversario")
_NO_BIRTH = _set("local cidade municipio uf pais peso hora weight place naturalidade")
_PHONE = _set("telefone telefon tel fone celular cel phone telephone mobile whatsapp fax")
_JOINED = re.compile(
    r"(nomes?|name|full|first|last|data|dt|birth|num|numero|nr|cod|cd|id|cartao|cpf|cns|cep|tel|telefone|celular|patient)"
    r"(da|do|de)?"
    r"(completo|social|paciente|mae|pai|rn|beneficiario|titular|name|nasc|nascimento|date|prontuario|pront|atendimento|"
    r"carteira|cns|cpf|sus|id)"
)


@lru_cache(maxsize=2048)
def role_of(key: str) -> Role:
    """What stands behind this key; the empty role where nothing that identifies a person does."""
    words = _words(key)
    if not words:
        return ""
    if _is_name(key, words):
        return "name"
    if len(words) == 1 and words <= _WEAK:
        return "weak_name"
    if len(words) == 1 and words <= {"family", "given"}:
        return "given"
    return _numbered(words)


def _words(key: str) -> frozenset[str]:
    words = [word.lower() for word in _WORD.findall(key)]
    if len(words) == 1 and (joined := _JOINED.fullmatch(words[0])):
        words = [word for word in joined.groups() if word]
    return frozenset(words)


def _is_name(key: str, words: frozenset[str]) -> bool:
    """Whether it is a person's: a word for a name, and words for persons and no others."""
    if words in _NAMES_ALONE:
        return True
    told = words & _NAME or (words & _NAME_PREFIX and "-" not in key)
    whose = words - _NAME - _NAME_PREFIX - _FILLER
    return bool(told and whose and whose <= _PERSON)


def _numbered(words: frozenset[str]) -> Role:
    """The role of a key whose values have digits, which say more than the key."""
    if plain := words & {"cpf", "cns", "cep"}:
        return "cpf" if "cpf" in plain else "cns" if "cns" in plain else "cep"
    if words & {"cartao", "carteira"} and words & {"sus", "saude", "nacional"}:
        return "cns"
    if "postal" in words and words & {"code", "codigo", "cod"}:
        return "cep"
    if words & _PHONE:
        return "phone"
    return _other(words)


def _other(words: frozenset[str]) -> Role:
    if words & _BIRTH and not words & _NO_BIRTH:
        return "birth_date"
    if "rg" in words and words - {"rg"} <= _PERSON | _FILLER | _NUMBER:
        return "rg"
    recorded = words & _RECORD or (words & _NUMBER and words & _NUMBERED)
    return "record" if recorded and not words & _NO_RECORD else ""
