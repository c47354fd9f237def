"""Every error that gemx raises on purpose, each with a stable code and the exit code of the command.

GemxError                          1  a bug, unless a subclass says otherwise
├── UsageError                     2  usage
├── ConfigError                    3  config
│   ├── InvalidFileError           3  invalid_file        (a list of problems with file, line, column)
│   ├── NotFoundError              3  not_found           (an automation, template, profile… of that name)
│   └── PluginError                3  plugin              (a plugin that does not load, or fails)
├── InputError                     4  input
├── ProviderError                  5  provider            (permanent)
│   ├── AuthenticationError        5  auth
│   ├── ModelNotFoundError         5  model_not_found
│   ├── InvalidRequestError        5  invalid_request
│   ├── UnsupportedError           5  unsupported         (this provider cannot do that)
│   ├── NotInstalledError          5  not_installed       (an optional extra is missing)
│   ├── BlockedError               5  blocked
│   ├── EmptyReplyError            5  empty_reply
│   ├── ContextLengthError         5  context_length
│   ├── EngineCrashError           5  engine_crash
│   └── TemporaryError             8  unavailable         (retryable)
│       ├── RateLimitError         8  rate_limit
│       │   └── QuotaError         8  quota               (a daily quota: not retryable before it ends)
│       ├── TimeoutExceededError   8  timeout
│       └── StreamCutError         8  stream_cut
├── ContractError                  6  contract
├── TruncatedError                 7  truncated           (free text cut at the token limit)
├── BudgetError                    9  budget
├── PrivacyError                  10  privacy
├── StorageError                  11  storage
└── StoppedError                  130  interrupted         (141 closed pipe, 143 terminated)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar


class GemxError(Exception):
    """A failure with a message for people, an optional hint on what to do, and codes for scripts.

    `attempts` holds the tries at a provider that came before it, where there were any, and `usage` the tokens that the
    provider counted for a call that failed all the same.
    """

    code: ClassVar[str] = "bug"
    exit_code: int = 1
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.attempts: tuple[Any, ...] = ()
        self.usage: Any = None


class UsageError(GemxError):
    """The command line asks for something that makes no sense."""

    code = "usage"
    exit_code = 2


class ConfigError(GemxError):
    """Configuration is missing or wrong."""

    code = "config"
    exit_code = 3


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a file; `line` and `column` count from 1, and are 0 where there is no place to name."""

    path: Path | str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}:{self.column}" if self.line else str(self.path)
        return f"{place}: {self.message}"


class InvalidFileError(ConfigError):
    """A file that does not hold what it should; carries every problem found in it."""

    code = "invalid_file"

    def __init__(self, problems: list[Problem], *, hint: str | None = None) -> None:
        super().__init__("\n".join(str(problem) for problem in problems), hint=hint)
        self.problems = problems


class NotFoundError(ConfigError):
    """No automation, profile or template has that name."""

    code = "not_found"


class PluginError(ConfigError):
    """A plugin does not load, is none, or failed in a way that it should not."""

    code = "plugin"


class InputError(GemxError):
    """What was given to work on (patient data, a file, stdin) cannot be used."""

    code = "input"
    exit_code = 4


class ProviderError(GemxError):
    """A model call failed for good: trying again would not help.

    `may_be_billed` says that the provider was at work already.
    """

    code = "provider"
    exit_code = 5
    may_be_billed: bool = False


class AuthenticationError(ProviderError):
    """The provider refused the key, or there is none."""

    code = "auth"


class ModelNotFoundError(ProviderError):
    """The provider has no model of that name."""

    code = "model_not_found"


class InvalidRequestError(ProviderError):
    """The provider refused the request itself."""

    code = "invalid_request"


class UnsupportedError(ProviderError):
    """The chosen provider cannot do what was asked of it."""

    code = "unsupported"


class NotInstalledError(ProviderError):
    """An optional part of gemx is not installed."""

    code = "not_installed"


class BlockedError(ProviderError):
    """The prompt or the reply was blocked by the provider's filters."""

    code = "blocked"


class EmptyReplyError(ProviderError):
    """The reply holds no text, and no reason that makes that right."""

    code = "empty_reply"


class ContextLengthError(ProviderError):
    """The prompt does not fit in the model's context."""

    code = "context_length"


class EngineCrashError(ProviderError):
    """The local engine process ended in the middle of a call."""

    code = "engine_crash"


class TemporaryError(ProviderError):
    """The provider cannot answer now; the same call may work later.

    `retry_after` is the provider's own wait in seconds, where it gave one.
    """

    code = "unavailable"
    exit_code = 8
    retryable = True

    def __init__(self, message: str, *, hint: str | None = None, retry_after: float | None = None) -> None:
        asked = f"the provider asks to wait {retry_after:g} s" if retry_after else None
        super().__init__(message, hint=hint or asked)
        self.retry_after = retry_after


class RateLimitError(TemporaryError):
    """Too many requests or tokens in a minute, for the provider or for the user's own limits."""

    code = "rate_limit"


class QuotaError(RateLimitError):
    """A quota that no wait in this command would refill: of a day, or of nothing at all.

    `ends` is when it is full again, where that is known.
    """

    code = "quota"
    retryable = False

    def __init__(self, message: str, *, hint: str | None = None, ends: datetime | None = None) -> None:
        super().__init__(message, hint=hint)
        self.ends = ends


class TimeoutExceededError(TemporaryError):
    """No complete answer within the time allowed."""

    code = "timeout"
    may_be_billed = True


class StreamCutError(TemporaryError):
    """The stream ended before the model said that it had finished."""

    code = "stream_cut"
    may_be_billed = True


class CommandError(GemxError):
    """A command that a flow runs did not start, did not end in time, or ended with another exit code than 0."""

    code = "command"
    exit_code = 5
    retryable = True


class ContractError(GemxError):
    """The answer does not satisfy its contract or schema."""

    code = "contract"
    exit_code = 6


class TruncatedError(GemxError):
    """Free text was cut at the token limit; what there is was delivered."""

    code = "truncated"
    exit_code = 7


class BudgetError(GemxError):
    """The call could cost more than a cap leaves, or has no price under a cap."""

    code = "budget"
    exit_code = 9


class PrivacyError(GemxError):
    """What would be sent may not leave this machine or site; says what kind of thing stands where, never its value.

    `kinds` counts what was found, by kind.
    """

    code = "privacy"
    exit_code = 10

    def __init__(self, message: str, *, hint: str | None = None, kinds: Mapping[str, int] | None = None) -> None:
        super().__init__(message, hint=hint)
        self.kinds = dict(kinds or {})


class StorageError(GemxError):
    """The disk is full, a lock is held, or a file cannot be read or written."""

    code = "storage"
    exit_code = 11


class StoppedError(GemxError):
    """The user or the system stopped the command: 130 interrupted, 141 closed pipe, 143 terminated."""

    code = "interrupted"

    def __init__(self, message: str, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code
