"""Signed notes, as C2SP writes them: a text, an empty line, and the Ed25519 signature under a key with a name.

Keys are one line each, as Go's `note` package writes them, or PEM files. Knows nothing of what a note says.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gemx.errors import ContractError, InputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

NAME = "gemx.audit"
_ED25519 = b"\x01"
_SECRET = "PRIVATE+KEY+"  # noqa: S105
_LINE = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")
_SIGNED = re.compile(r"\A(?P<text>.*\n)\n(?P<signatures>(?:— \S+ \S+\n)+)\Z", re.DOTALL)
_HINT = "gemx logs checkpoint --new-key FILE makes a pair"


@dataclass(frozen=True)
class Signer:
    """A private key, and the name that its signatures carry."""

    name: str
    key: Ed25519PrivateKey

    @property
    def verifier(self) -> Verifier:
        """Its public part."""
        return Verifier(self.name, self.key.public_key())

    def sign(self, text: str) -> str:
        """The text, which ends in a newline, as a signed note."""
        signature = base64.b64encode(self.verifier.hash + self.key.sign(text.encode())).decode()
        return f"{text}\n— {self.name} {signature}\n"

    def line(self) -> str:
        """The key as a line."""
        return f"{_SECRET}{self.name}+{self.verifier.hash.hex()}+{_encoded(self.key.private_bytes_raw())}"


@dataclass(frozen=True)
class Verifier:
    """A public key, and the name that its signatures carry."""

    name: str
    key: Ed25519PublicKey

    @property
    def hash(self) -> bytes:
        """Four bytes by which a signature names its key."""
        named = self.name.encode() + b"\n" + _ED25519 + self.key.public_bytes_raw()
        return hashlib.sha256(named).digest()[:4]

    def line(self) -> str:
        """The key as a line."""
        return f"{self.name}+{self.hash.hex()}+{_encoded(self.key.public_bytes_raw())}"

    def open(self, note: str) -> str:
        """The text of a note that this key signed. Raises InputError on what is no note, ContractError."""
        from cryptography.exceptions import InvalidSignature

        match = _SIGNED.fullmatch(note.replace("\r\n", "\n"))
        if match is None:
            raise InputError("no signed note: a text, an empty line, and a line of a signature are expected")
        for line in match["signatures"].splitlines():
            signature = _decoded(line.rpartition(" ")[2])
            if signature[:4] != self.hash:
                continue
            try:
                self.key.verify(signature[4:], match["text"].encode())
            except InvalidSignature:
                break
            return match["text"]
        else:
            raise ContractError(f"the note is not signed by the key {self.name}+{self.hash.hex()}")
        raise ContractError("the signature is wrong: the note was changed, or signed by another key")


def new() -> Signer:
    """A new key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Signer(NAME, Ed25519PrivateKey.generate())


def signer(text: str) -> Signer:
    """The private key that a file holds, as a line or as PEM. Raises InputError, which says nothing of it."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        if "-----BEGIN" in text:
            key = serialization.load_pem_private_key(text.encode(), password=None)
            if not isinstance(key, Ed25519PrivateKey):
                raise ValueError
            return Signer(NAME, key)
        name, raw, hash = _parsed(text.strip().removeprefix(_SECRET))
        found = Signer(name, Ed25519PrivateKey.from_private_bytes(raw))
    except (ValueError, TypeError):
        # Without its cause, which may hold what was read.
        raise InputError("no private Ed25519 key, as a line or as PEM without a password", hint=_HINT) from None
    if not text.strip().startswith(_SECRET) or found.verifier.hash != hash:
        raise InputError("no private key, but the public part of one, or a damaged one", hint=_HINT)
    return found


def verifier(text: str) -> Verifier:
    """The public key that a text holds, as a line or as PEM. Raises InputError."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if text.strip().startswith(_SECRET):
        raise InputError("that is the private key: give its public part, and keep this one away", hint=_HINT)
    try:
        if "-----BEGIN" in text:
            key = serialization.load_pem_public_key(text.encode())
            if not isinstance(key, Ed25519PublicKey):
                raise ValueError
            return Verifier(NAME, key)
        name, raw, hash = _parsed(text.strip())
        found = Verifier(name, Ed25519PublicKey.from_public_bytes(raw))
    except ValueError:
        raise InputError("no public Ed25519 key, as a line or as PEM", hint=_HINT) from None
    if found.hash != hash:
        raise InputError("the public key is damaged: its name and its number do not belong together", hint=_HINT)
    return found


def _parsed(line: str) -> tuple[str, bytes, bytes]:
    """Name, key and hash of a line. Raises ValueError."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError
    raw = _decoded(match[3])
    if not raw.startswith(_ED25519):
        raise ValueError
    return match[1], raw[1:], bytes.fromhex(match[2])


def _encoded(key: bytes) -> str:
    return base64.b64encode(_ED25519 + key).decode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
