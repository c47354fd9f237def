"""A Hugging Face-compatible endpoint: what a repository holds, with hashes and a pinned commit, and its search.

Knows the protocol; nothing of files on this machine. HF_ENDPOINT names another endpoint.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast
from urllib.parse import quote

from gemx import keys, strict_json
from gemx.errors import (
    AuthenticationError,
    ConfigError,
    GemxError,
    InputError,
    ModelNotFoundError,
    ProviderError,
    TemporaryError,
)
from gemx.models import connection
from gemx.models.connection import Answer, Network
from gemx.sanitize import printable
from gemx.settings import Settings

DEFAULT_ENDPOINT = "https://huggingface.co"
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_MOST_BYTES = 20_000_000
_MOST_PAGES = 20
_MOST_SIZE = 1 << 50
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


@dataclass(frozen=True)
class File:
    """A file of a repository; `sha256` is "" where the endpoint publishes none, `size` is in bytes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Repository:
    """A repository at one commit; `gated` says that its owner must grant access."""

    name: str
    commit: str
    license: str | None
    gated: bool
    files: tuple[File, ...]


@dataclass(frozen=True)
class Hit:
    """A repository that a search found."""

    name: str
    license: str | None
    gated: bool
    downloads: int | None


class Hub:
    """An endpoint, as far as the network is allowed to reach. Its key is looked for when it is first asked.

    Raises ConfigError where HF_ENDPOINT is no address.
    """

    def __init__(self, settings: Settings, network: Network) -> None:
        self._settings = settings
        self.network = network
        self.endpoint = os.environ.get("HF_ENDPOINT", "").strip().rstrip("/") or DEFAULT_ENDPOINT
        try:
            connection.checked(self.endpoint)
        except InputError as exc:
            raise ConfigError(f"HF_ENDPOINT: {exc.message}", hint="give https://…, or unset it") from exc

    @cached_property
    def token(self) -> str | None:
        """The key for the endpoint, or None. Raises ConfigError where the configured source fails."""
        return keys.find(keys.of_hub(self._settings))

    def repository(self, name: str) -> Repository:
        """What a repository holds now. Raises ModelNotFoundError, AuthenticationError, TemporaryError."""
        data = _mapping(self._json(f"/api/models/{name}", name))
        commit = str(data.get("sha"))
        if not _COMMIT.fullmatch(commit):
            raise ProviderError(f"{self.endpoint} names no commit of {name}", hint="check HF_ENDPOINT")
        files = self._files(name, commit)
        return Repository(name, commit, _license(data), bool(data.get("gated")), files)

    def search(self, words: str, most: int) -> list[Hit]:
        """Repositories with GGUF files that a search finds."""
        rows = self._json(f"/api/models?search={quote(words)}&filter=gguf&limit={most}", None)
        found = [_mapping(row) for row in cast("list[Any]", rows if isinstance(rows, list) else [])]
        return [_hit(row) for row in found if REPOSITORY.fullmatch(str(row.get("id")))][:most]

    def sha256(self, repository: Repository, path: str) -> str:
        """The hash that the endpoint publishes with the file itself, or ""."""
        with self._asked(self.address(repository, path), method="HEAD") as answer:
            if connection.LINKED not in answer.headers:
                check(answer, f"{repository.name}/{path}", self.page(repository.name))
            return _hash(answer.headers.get(connection.LINKED, ""))

    def address(self, repository: Repository, path: str) -> str:
        """Where a file is, at the commit that is pinned."""
        return f"{self.endpoint}/{repository.name}/resolve/{repository.commit}/{quote(path)}"

    def page(self, name: str) -> str:
        """Where a person reads of a repository, and asks for access to it."""
        return f"{self.endpoint}/{name}"

    def _files(self, name: str, commit: str) -> tuple[File, ...]:
        url: str | None = f"{self.endpoint}/api/models/{name}/tree/{commit}?recursive=true&expand=false"
        found: list[File] = []
        for _ in range(_MOST_PAGES):
            with self._asked(url) as answer:
                check(answer, name, self.page(name))
                rows = _parsed(answer)
                found += [_file(_mapping(row)) for row in (rows if isinstance(rows, list) else [])]  # pyright: ignore[reportUnknownVariableType]
                url = answer.response.links.get("next", {}).get("url")
            if url is None:
                break
        return tuple(found)

    def _json(self, path: str, name: str | None) -> Any:
        with self._asked(f"{self.endpoint}{path}") as answer:
            check(answer, name or self.endpoint, self.page(name) if name else None)
            return _parsed(answer)

    def _asked(self, url: str, **more: Any) -> Any:
        # Another host, as a link to a next page might name, gets no key.
        own = url.startswith(f"{self.endpoint}/")
        return connection.opened(url, self.network, token=self.token if own else None, **more)


def check(answer: Answer, what: str, page: str | None = None) -> None:
    """Raise what a server's refusal means; `page` is where a person asks for access."""
    if answer.status in (200, 206):
        return
    code = answer.headers.get("x-error-code", "")
    if code == "GatedRepo" or (answer.status == 403 and page):
        hint = f"ask for access at {page}, then give a token: HF_TOKEN, or gemx config set-key huggingface"
        raise AuthenticationError(f"{what} is given only to those whom its owner lets in", hint=hint)
    raise _refusal(answer, what, code)


def _refusal(answer: Answer, what: str, code: str) -> GemxError:
    host, status = connection.checked(answer.url).host, answer.status
    if code == "EntryNotFound":
        return ModelNotFoundError(f"{host} has no file {what}")
    # An endpoint answers so for what is not there and for what is private alike.
    if status == 404 or code == "RepoNotFound":
        return ModelNotFoundError(f"{host} has no {what}", hint="check its name; a private one needs a token: HF_TOKEN")
    if status in (401, 403):
        hint = "give a token that may read it: HF_TOKEN, or gemx config set-key huggingface"
        return AuthenticationError(f"{host} refuses {what} (HTTP {status})", hint=hint)
    if status == 429 or status >= 500:
        return TemporaryError(f"{host} cannot give {what} now (HTTP {status})", hint="try again later")
    return ProviderError(f"{host} answers HTTP {status} for {what}, where 200 was expected")


def _parsed(answer: Answer) -> Any:
    try:
        return strict_json.loads(answer.body(_MOST_BYTES).decode("utf-8"))
    except ValueError as exc:
        host = connection.checked(answer.url).host
        raise ProviderError(f"{host} does not answer as an endpoint for models does", hint="check HF_ENDPOINT") from exc


def _file(row: Mapping[str, Any]) -> File:
    size = row.get("size")
    digest = _hash(str(_mapping(row.get("lfs")).get("oid", "")))
    return File(str(row.get("path", "")), size if isinstance(size, int) and 0 < size <= _MOST_SIZE else 0, digest)


def _hit(row: Mapping[str, Any]) -> Hit:
    tags: Sequence[Any] = row["tags"] if isinstance(row.get("tags"), list) else []
    named = [str(tag).removeprefix("license:") for tag in tags if str(tag).startswith("license:")]
    downloads = row.get("downloads")
    count = downloads if isinstance(downloads, int) else None
    return Hit(str(row["id"]), named[0] if named else None, bool(row.get("gated")), count)


def _license(data: Mapping[str, Any]) -> str | None:
    card = _mapping(data.get("cardData"))
    name = card.get("license")
    if name == "other" and isinstance(card.get("license_name"), str):
        name = card["license_name"]
    return printable(name) or None if isinstance(name, str) else None


def _hash(text: str) -> str:
    found = text.strip('"').lower()
    return found if _SHA256.fullmatch(found) else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value)
    if value is None:
        return {}
    raise InputError("the endpoint's answer has another form than expected", hint="check HF_ENDPOINT")
