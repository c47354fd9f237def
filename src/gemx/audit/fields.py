"""What a record may say, field by field: the source of its published JSON Schema and of the columns of an export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gemx.audit.writer import VERSION

_TEXT: Mapping[str, Any] = {"type": "string"}
_HASH: Mapping[str, Any] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_COUNT: Mapping[str, Any] = {"type": "integer", "minimum": 0}
_NUMBER: Mapping[str, Any] = {"type": "number"}
_FLAG: Mapping[str, Any] = {"type": "boolean"}
_TIME: Mapping[str, Any] = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}
_COUNTS: Mapping[str, Any] = {"type": "object", "additionalProperties": _COUNT}

KINDS = ("attempt", "refusal", "result", "prune", "erase", "import")
REQUIRED = ("v", "seq", "prev", "time", "kind", "run_id", "command", "subject")


@dataclass(frozen=True)
class Field:
    """A field: its name, its JSON Schema, what it says, and whether an export has a column for it."""

    name: str
    form: Mapping[str, Any]
    said: str
    column: bool = True


def _strings(*choices: str) -> Mapping[str, Any]:
    return {"type": "string", "enum": list(choices)}


def _list(of: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"type": "array", "items": of}


def _object(**properties: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


_FILE = {"name": _TEXT, "sha256": _HASH, "bytes": _COUNT}

FIELDS: tuple[Field, ...] = (
    Field("v", {"const": VERSION}, "the version of this schema"),
    Field("seq", {"type": "integer", "minimum": 1}, "its number in the chain, from 1 over all files"),
    Field("prev", _HASH, "the SHA-256 of the bytes of the line before, its newline aside; zeros in the first", False),
    Field("time", _TIME, "when it was written, in UTC"),
    Field(
        "kind",
        _strings(*KINDS),
        "a try at a provider, a call that the door refused, a verification, or a deed on the log",
    ),
    Field("run_id", _TEXT, "the run; what `logs show`, `history show` and `auto note` take"),
    Field("command", _TEXT, "the command, such as `auto run`"),
    Field("subject", {**_HASH, "type": ["string", "null"]}, "whom it is about: a keyed HMAC of what `--subject` named"),
    Field("gen_ai.operation.name", _strings("generate_content", "embeddings"), "what was asked for"),
    Field("gen_ai.provider.name", _TEXT, "the provider, as OpenTelemetry names it"),
    Field("gen_ai.request.model", _TEXT, "the model that was asked"),
    Field("gen_ai.request.temperature", _NUMBER, "as it was sent", False),
    Field("gen_ai.request.top_p", _NUMBER, "as it was sent", False),
    Field("gen_ai.request.seed", {"type": "integer"}, "as it was sent", False),
    Field("gen_ai.request.max_tokens", _COUNT, "as it was sent", False),
    Field("gen_ai.request.stream", _FLAG, "whether the answer was streamed"),
    Field("gen_ai.output.type", _strings("text", "json"), "the form of the answer"),
    Field("gen_ai.response.model", _TEXT, "the model that answered"),
    Field("gen_ai.response.id", _TEXT, "the provider's id of the answer"),
    Field("gen_ai.response.finish_reasons", _list(_TEXT), "why the answer ended: `stop`, `length`"),
    Field("gen_ai.response.time_to_first_chunk", _NUMBER, "seconds to the first text"),
    Field("gen_ai.usage.input_tokens", _COUNT, "tokens in, cached ones included"),
    Field("gen_ai.usage.output_tokens", _COUNT, "tokens out, reasoning included"),
    Field("gen_ai.usage.cache_read.input_tokens", _COUNT, "of those in, the cached ones"),
    Field("gen_ai.usage.reasoning.output_tokens", _COUNT, "of those out, the reasoning"),
    Field("error.type", _TEXT, "the code of the error that ended it"),
    Field("gemx.status", _strings("ok", "error"), "how it ended"),
    Field("gemx.duration", _NUMBER, "seconds"),
    Field("gemx.try", {"type": "integer", "minimum": 1}, "which try at this model"),
    Field("gemx.route", _TEXT, "the provider as `-m` names it"),
    Field("gemx.route_reason", _TEXT, "why this model was chosen"),
    Field("gemx.fallback_from", _TEXT, "the model in whose place this one was asked"),
    Field("gemx.reach", _strings("machine", "site", "any"), "how far it went"),
    Field("gemx.store", _FLAG, "whether the provider was let to keep it"),
    Field("gemx.service_tier", _TEXT, "the tier of the provider that was asked for"),
    Field("gemx.guard", _strings("off", "warn", "mask", "block"), "the guard that it passed"),
    Field("gemx.guard_found", _COUNTS, "the identifiers that the guard found, by kind"),
    Field("gemx.cost_usd", _NUMBER, "US dollars; absent where no price is known"),
    Field("gemx.price_table", _TEXT, "the version of the prices"),
    Field("gemx.automation", _TEXT, "the automation"),
    Field("gemx.automation_version", _TEXT, "its version"),
    Field("gemx.automation_sha256", _HASH, "the hash of its file", False),
    Field("gemx.automation_path", _TEXT, "its file, where it does not ship with gemx", False),
    Field("gemx.formulary_path", _TEXT, "the formulary, where it is not the packaged one", False),
    Field("gemx.template", _TEXT, "the template"),
    Field("gemx.template_version", _TEXT, "its version"),
    Field("gemx.template_sha256", _HASH, "the hash of its file", False),
    Field("gemx.template_path", _TEXT, "its file, where it does not ship with gemx", False),
    Field("gemx.flow", _TEXT, "the flow"),
    Field("gemx.flow_sha256", _HASH, "the hash of the flow and all that it uses", False),
    Field("gemx.flow_path", _TEXT, "its file, where it does not ship with gemx", False),
    Field("gemx.step", _TEXT, "the step of the flow"),
    Field("gemx.item", _TEXT, "the item of the batch, by its key"),
    Field("gemx.round", _COUNT, "of a verification: how often the answer had been sent back"),
    Field("gemx.verified", _FLAG, "whether all that applies was checked and nothing is wrong"),
    Field("gemx.checks", _list(_TEXT), "the families of rules that were applied", False),
    Field(
        "gemx.findings",
        _list(_object(code=_TEXT, severity=_TEXT, path=_TEXT)),
        "which rules found something, and where; no value and no text",
    ),
    Field("gemx.salt", {"type": "string", "pattern": "^[0-9a-f]{32}$"}, "the salt of the HMACs of this record", False),
    Field("gemx.prompt_hmac", _HASH, "the keyed HMAC of what was asked", False),
    Field("gemx.reply_hmac", _HASH, "the keyed HMAC of the answer", False),
    Field("gemx.content", _TEXT, "the file beside that keeps the texts, with `audit.content` `full`", False),
    Field("gemx.version", _TEXT, "the version of gemx"),
    Field("gemx.user", _TEXT, "the user of the system"),
    Field("gemx.pid", _COUNT, "the process"),
    Field(
        "gemx.files", _list(_object(**_FILE, lines=_COUNT, head=_HASH)), "of a prune: the days that were removed", False
    ),
    Field("gemx.text_files", _list(_object(**_FILE)), "of a prune: the files of texts that were removed", False),
    Field("gemx.first_seq", _COUNT, "of a prune: the first number that was removed", False),
    Field("gemx.last_seq", _COUNT, "of a prune: the last number that was removed", False),
    Field("gemx.head", _HASH, "of a prune: the SHA-256 of the last line that was removed", False),
    Field("gemx.breaks", _COUNT, "of a prune: the places in what was removed where the chain did not hold", False),
    Field("gemx.erased", _COUNTS, "of an erasure: how many of what", False),
    Field("gemx.time", _TIME, "of an import: when the call was made"),
    Field("gemx.imported_id", _HASH, "of an import: the keyed HMAC of the line, by which it is known", False),
    Field(
        "gemx.imported_hmac", _HASH, "of an import: the salted HMAC of the line, which is kept beside the log", False
    ),
    Field("gemx.source", _TEXT, "of an import: the name of the file and the number of the line"),
    Field("gemx.unmapped", _list(_TEXT), "of an import: the fields that only the kept line has", False),
)

_PATTERNS: Mapping[str, Mapping[str, Any]] = {
    r"^gemx\.count\.(error|conflict|warning|unverifiable)$": {**_COUNT, "description": "findings of that severity"},
}


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a record. What a later version adds, this one lets pass."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A record of gemx's audit log",
        "description": "One line of audit-YYYY-MM-DD.jsonl. It holds metadata and keyed hashes, and no text.",
        "type": "object",
        "properties": {field.name: {**field.form, "description": field.said} for field in FIELDS},
        "patternProperties": {name: dict(form) for name, form in _PATTERNS.items()},
        "required": list(REQUIRED),
    }


def columns() -> list[str]:
    """The fields that an export to CSV has columns for, in their order."""
    return [field.name for field in FIELDS if field.column]
