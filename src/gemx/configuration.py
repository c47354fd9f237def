"""config.json as it is read: its settings with their forms, its version, and the place of everything that is wrong.

Knows nothing of the environment, of profiles, or of what is done with the values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from gemx import library, strict_json
from gemx.errors import ConfigError, InvalidFileError, Problem

VERSION = 1

SchemaMode = Literal["json_schema", "json_object", "guided_json", "none"]
Temperature = Annotated[float, Field(ge=0, le=2)]
Timeout = Annotated[float, Field(gt=0, le=86_400)]
ModelName = Annotated[str, Field(min_length=1, max_length=300)]
Guard = Literal["off", "warn", "mask", "block"]
Network = Literal["machine", "site", "any"]
Dollars = Annotated[float, Field(gt=0, le=1_000_000)]
Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
PluginName = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100)]


def _known_zone(name: str) -> str:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as exc:
        raise ValueError(f"{name!r} is no time zone; for example America/Sao_Paulo") from exc
    return name


TimeZone = Annotated[str, AfterValidator(_known_zone)]


def _said(text: str, default: Any = None, **more: Any) -> Any:
    return Field(default=default, description=text, **more)


class Section(BaseModel):
    """A JSON object of config.json: unknown keys are refused and nothing is converted silently."""

    # What was found is not quoted in an error: it may be a key, written in the wrong place.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class KeySource(Section):
    """Where a key is read: a variable, the output of a command (an argument list), or a file. Never the key itself."""

    env: Text | None = _said("the environment variable that holds the key")
    file: Text | None = _said("a file (mode 0600) that holds the key")
    command: Annotated[list[str], Field(min_length=1)] | None = _said("a command that prints the key: its arguments")


class EndpointConfig(Section):
    """An OpenAI-compatible endpoint: where it is, its model, how it takes a schema, and whether it is on site.

    `reasoning` says that it takes `reasoning_effort`; `headers` are sent along, and hold no secret.
    """

    base_url: Annotated[
        str, Field(pattern=r"^https?://\S+$", description="where it is, such as http://10.0.0.5:8000/v1")
    ]
    model: ModelName | None = _said("the model that is asked for where the name of the endpoint stands alone")
    schema_mode: SchemaMode = _said("how it takes a JSON Schema", "json_schema", alias="schema")
    site: bool = _said("it is on site: what goes there does not leave it", False)
    reasoning: bool = _said("it takes `reasoning_effort`", False)
    headers: dict[str, str] = _said("sent along with every call; no secret", {})
    api_key: KeySource | None = _said("where its key is read")


class AuditConfig(Section):
    """What the audit keeps of the texts: nothing, keyed hashes, or hashes and the texts in files beside it."""

    content: Literal["none", "hash", "full"] = _said(
        "what the audit keeps of texts: nothing, keyed hashes, or the texts too, in files beside it", "hash"
    )


class HistoryConfig(Section):
    """For how many days the texts of results are kept; 0 keeps none."""

    keep: Annotated[int, Field(ge=0, le=36_500)] = _said("for how many days texts are kept; 0 keeps none", 30)


class AutomationsConfig(Section):
    """The guard of automations towards the cloud; `mask` is at the user's own risk."""

    guard: Literal["mask", "block"] = _said("the guard of automations towards the cloud", "block")


class BudgetConfig(Section):
    """Caps in US dollars: of one command, of a day and of a month in the configured time zone."""

    command: Dollars | None = _said("the most that one command may cost, in US dollars")
    daily: Dollars | None = _said("the most that a day may cost, in US dollars")
    monthly: Dollars | None = _said("the most that a month may cost, in US dollars")


class LimitConfig(Section):
    """What a provider allows in a minute: requests and tokens."""

    rpm: Count | None = _said("requests in a minute")
    tpm: Count | None = _said("tokens in a minute")


class RetryConfig(Section):
    """How a call that failed for a while is tried again: `max_attempts` counts the first; the rest are seconds.

    The wait before try n is drawn from nought to `initial` * `factor` ** (n - 2), at most `max_interval`.
    """

    max_attempts: Annotated[int, Field(ge=1, le=100)] = _said("how often a call is tried, the first included", 5)
    initial: Annotated[float, Field(gt=0, le=3600)] = _said("the longest wait before the second try, in seconds", 1.0)
    factor: Annotated[float, Field(ge=1, le=100)] = _said("what each further wait is multiplied by", 2.0)
    max_interval: Annotated[float, Field(gt=0, le=3600)] = _said("the longest of these waits, in seconds", 60.0)
    max_elapsed: Annotated[float, Field(gt=0, le=86_400)] = _said("the time for all tries together, in seconds", 600.0)


class RoutesConfig(Section):
    """The model of each task; a request of more than `long_above` tokens is long."""

    text: ModelName | None = _said("the model of text")
    image: ModelName | None = _said("the model of pictures")
    audio: ModelName | None = _said("the model of sound")
    long: ModelName | None = _said("the model of long requests")
    long_above: Count = _said("from how many tokens on a request is long", 100_000)


class KnowledgeConfig(Section):
    """What makes the vectors of knowledge bases: the model of those that are new; none without."""

    embedder: ModelName | None = _said("the model that makes the vectors of new knowledge bases")


class CostRule(Section):
    """The cost of a message in the last 24 hours, against the day before and the median of the last 7 days."""

    rise: Annotated[float, Field(gt=0, le=100)] = _said("from which rise on it fires; 0.2 is 20 %", 0.2)
    minimum: Count = _said("how many messages a day must have to be judged", 30)


class RateRule(Section):
    """A share of the last 24 hours."""

    above: Annotated[float, Field(ge=0, lt=1)] = _said("above which share it fires; 0.1 is 10 %", 0.1)
    minimum: Count = _said("how many there must be to be judged", 20)


class NotifyConfig(Section):
    """Who is told beside stdout: a program, which gets the message on stdin, and an address, which gets it as JSON."""

    command: Annotated[list[str], Field(min_length=1)] | None = _said("a command that gets the message on its stdin")
    webhook: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = _said("an address that the message is posted to")


class AlertsConfig(Section):
    """The rules of `gemx stats check`; one that is not there is not judged."""

    cost_per_message: CostRule | None = _said("the cost of a message rises")
    p95_seconds: Annotated[float, Field(gt=0, le=86_400)] | None = _said("p95 of the latency is above so many seconds")
    failure_rate: RateRule | None = _said("calls fail")
    verification_failures: RateRule | None = _said("answers are not verified")
    budget: Annotated[float, Field(gt=0, le=1)] | None = _said(
        "so much of a daily or monthly cap is spent; 0.8 is 80 %"
    )
    notify: NotifyConfig = _said("who is told", NotifyConfig())


class Config(Section):
    """The user's config.json."""

    version: Annotated[int, Field(ge=VERSION, le=VERSION)] = _said("the version of this file's form", VERSION)
    model: ModelName | None = _said("the model: gemini:NAME, gguf:NAME, openai:NAME or extractive")
    profile: str | None = _said("the profile that holds where --profile names none")
    allow_cloud: bool = _said("let automations and fallbacks go to the cloud without -m", False)
    routes: RoutesConfig = _said("the model of each task", RoutesConfig())
    fallback: list[ModelName] | None = _said("models that take over, in order, where the chosen one fails")
    guard: Guard | None = _said("what is done about identifiers before a call leaves this machine")
    automations: AutomationsConfig = _said("of automations alone", AutomationsConfig())
    network: Network | None = _said("how far data may go")
    budget: BudgetConfig = _said("caps on what calls cost", BudgetConfig())
    limits: dict[str, LimitConfig] = _said("what a minute allows, by model or provider", {})
    project: Annotated[str, Field(min_length=1, max_length=100)] | None = _said("whose limits and budget these are")
    concurrency: Annotated[int, Field(ge=1, le=1000)] | None = _said("how many calls may be under way at once")
    retry: RetryConfig = _said("how a call that failed is tried again", RetryConfig())
    timezone: TimeZone | None = _said("the time zone of caps and reports, such as America/Sao_Paulo")
    timeout: Timeout | None = _said("the time for a whole command, in seconds")
    temperature: Temperature | None = _said("how freely a model phrases, from 0 to 2")
    max_output_tokens: Count | None = _said("the longest answer, in tokens")
    endpoints: dict[str, EndpointConfig] = _said("OpenAI-compatible endpoints by name; `-m openai:NAME`", {})
    keys: dict[Literal["gemini", "huggingface"], KeySource] = _said(
        "where the keys for Gemini, and for downloads of models, are read", {}
    )
    audit: AuditConfig = _said("the audit log", AuditConfig())
    history: HistoryConfig = _said("the texts of results", HistoryConfig())
    knowledge: KnowledgeConfig = _said("knowledge bases", KnowledgeConfig())
    alerts: AlertsConfig = _said("the rules of gemx stats check", AlertsConfig())
    plugins: list[PluginName] = _said("the installed plugins that are used; gemx plugins enable NAME", [])


def load(path: Path) -> Config:
    """The configuration, or the defaults where there is no file. Raises InvalidFileError or ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Config()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"cannot read {path}: {exc}") from exc
    return parse(text, path)


def parse(text: str, path: Path) -> Config:
    """The configuration of a text. Raises InvalidFileError with every problem, each at its place in `path`."""
    data = read_json(text, path)
    try:
        return Config.model_validate(floats(data))
    except ValidationError as exc:
        place = _places(text, path)
        problems = [place(loc, message) for loc, message in _described(exc)]
    raise InvalidFileError(sorted(problems, key=lambda problem: (problem.line, problem.column)))


def read_json(text: str, path: Path) -> dict[str, Any]:
    """The object of a text, brought to the version of today; its values are not checked yet."""
    try:
        data: Any = strict_json.loads(text)
    except ValueError as exc:
        raise InvalidFileError([_syntax(text, path, exc)]) from exc
    if not isinstance(data, dict):
        raise InvalidFileError([Problem(path, 0, 0, "Input should be a JSON object: { … }")])
    found = cast("dict[str, Any]", data)
    return upgraded(found, path)


def upgraded(data: dict[str, Any], path: Path) -> dict[str, Any]:
    """The same settings in the form of today's version. Raises ConfigError on those of a newer gemx."""
    version = data.get("version", 0)
    if not isinstance(version, int) or isinstance(version, bool) or version < 0:
        return data
    if version > VERSION:
        said = f"{path} has version {version}: a newer gemx wrote it, and this one knows versions up to {VERSION}"
        raise ConfigError(said, hint="update gemx, or put a backup of the older file in its place")
    for step in _STEPS[version:]:
        data = step(data)
    return {"version": VERSION, **{key: value for key, value in data.items() if key != "version"}}


def wrong(data: Mapping[str, Any]) -> list[tuple[tuple[str | int, ...], str]]:
    """What is wrong with settings: where, and how."""
    try:
        Config.model_validate(floats(data))
    except ValidationError as exc:
        return _described(exc)
    return []


def json_schema() -> dict[str, Any]:
    """The JSON Schema of config.json."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema(by_alias=True)}


# From each version to the next; the settings of what had no version yet are those of version 1.
_STEPS: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (lambda data: data,)


def floats(value: Any) -> Any:
    """The same data with floats for exact decimals."""
    from decimal import Decimal

    if isinstance(value, Mapping):
        return {key: floats(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    return float(value) if isinstance(value, Decimal) else value


def _described(error: ValidationError) -> list[tuple[tuple[str | int, ...], str]]:
    return [_problem(detail) for detail in error.errors(include_url=False, include_input=False)]


def _problem(detail: Any) -> tuple[tuple[str | int, ...], str]:
    # A name of a map that is not allowed has a marker of Pydantic's own behind it.
    location = tuple(part for part in detail["loc"] if part != "[key]")
    where = ".".join(str(part) for part in location)
    if detail["type"] == "extra_forbidden":
        return location, f"unknown key {where}{library.suggest(str(location[-1]), _known_keys())}"
    message = str(detail["msg"]).removeprefix("Value error, ")
    return location, f"{where}: {message}" if where else message


def _known_keys() -> list[str]:
    models: tuple[type[BaseModel], ...] = (Config, EndpointConfig, KeySource, AuditConfig, HistoryConfig)
    models += (AutomationsConfig, BudgetConfig, LimitConfig, RetryConfig, RoutesConfig, KnowledgeConfig)
    models += (AlertsConfig, CostRule, RateRule, NotifyConfig)
    return [field.alias or name for model in models for name, field in model.model_fields.items()]


def _syntax(text: str, path: Path, error: ValueError) -> Problem:
    if hasattr(error, "lineno"):
        message = str(error).partition(": line ")[0]
        return Problem(path, getattr(error, "lineno", 1), getattr(error, "colno", 1), f"not JSON: {message}")
    try:
        _yaml(text, path)
    except InvalidFileError as exc:
        twice = [problem for problem in exc.problems if "stands twice" in problem.message]
        if twice and "stands twice" in str(error):
            return Problem(path, twice[0].line, twice[0].column, f"not JSON: {error}")
    return Problem(path, 1, 1, f"not JSON: {error}")


def _places(text: str, path: Path) -> Callable[[tuple[str | int, ...], str], Problem]:
    """A function that gives a problem its line and column."""
    try:
        tree = _yaml(text, path)
    except InvalidFileError:
        return lambda location, message: Problem(path, 0, 0, message)

    def place(location: tuple[str | int, ...], message: str) -> Problem:
        return tree.problem(location, message, key=message.startswith("unknown key"))

    return place


def _yaml(text: str, path: Path) -> library.Tree:
    """JSON read once more as the YAML that it is, for the places of its values."""
    return library.parse(text.replace("\t", " ").encode("utf-8", "surrogatepass"), path, numbers_as_text=True)
