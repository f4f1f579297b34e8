"""Generated REST requests: every writing route of the document, its bodies made and then spoilt.

`Routes` reads ``/openapi.json``, as an attacker would. A body begins as an instance of its schema,
so that a spoilt one gets past the first check; one in ten is no JSON at all.
"""

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from .noise import Noise

METHODS = ("post", "post", "post", "patch", "patch", "delete", "get")
CONTENT_TYPES = (
    *["application/json"] * 30, "application/json; charset=utf-16",
    "application/merge-patch+json", "text/plain", "multipart/form-data; boundary=x", "", "\u00e9",
)  # fmt: skip
NOT_JSON = (
    b"", b"{", b"[1,", b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":1e999}', b"\xff\xfe{}", b"\x00",
    b'"\\ud800"', b"[" * 50_000, b'{"a":' * 10_000, b"null", b"1" * 5000, b'{"a":"\xc3\x28"}',
)  # fmt: skip
LARGEST = 2_000_000


@dataclass(frozen=True)
class Request:
    """What is sent."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str]


@dataclass
class Routes:
    """The routes and schemas of the document, and ids that the storm has seen."""

    document: dict[str, Any]
    ids: list[str] = field(default_factory=list)

    def request(self, noise: Noise) -> Request:
        """One request with something wrong, as a rule."""
        method = noise.rng.choice(METHODS)
        path, operation = noise.rng.choice(self._operations(method))
        headers = {"Content-Type": noise.rng.choice(CONTENT_TYPES)}
        if method in {"patch", "delete"} and noise.chance(0.8):
            headers["If-Match"] = noise.rng.choice(("*", '"v1"'))
        for name in ("Idempotency-Key", "If-Match", "If-None-Match", "Accept"):
            if noise.chance(0.1):
                headers[name] = _header(noise.text())
        return Request(
            method.upper(),
            self._path(noise, path),
            self._body(noise, operation),
            {name: value for name, value in headers.items() if value},
        )

    def _operations(self, method: str) -> list[tuple[str, dict[str, Any]]]:
        return [
            (path, operations[method])
            for path, operations in self.document["paths"].items()
            if method in operations
        ]

    def _path(self, noise: Noise, path: str) -> str:
        given = noise.rng.choice(self.ids) if self.ids and noise.chance(0.7) else _id(noise)
        path = path.replace("{id}", given)
        if noise.chance(0.2):
            query = noise.rng.choice(("limit", "cursor", "include", "sort", "created_at.gte", "q"))
            path += f"?{query}={_quoted(noise.text()[:300])}"
        return path

    def _body(self, noise: Noise, operation: dict[str, Any]) -> bytes:
        if noise.chance(0.1):
            return noise.rng.choice(NOT_JSON)
        if noise.chance(0.003):
            return b'"' + b"x" * LARGEST + b'"'
        content = operation.get("requestBody", {}).get("content", {})
        schema = next(iter(content.values()), {}).get("schema", {})
        value = self.instance(noise, schema)
        for _ in range(noise.rng.choice((0, 0, 1, 1, 1, 2, 3))):
            value = noise.spoil(value)
        data = json.dumps(value, ensure_ascii=noise.chance(0.5)).encode("utf-8", "surrogatepass")
        return noise.spoil_bytes(data) if noise.chance(0.1) else data

    def instance(self, noise: Noise, schema: dict[str, Any], depth: int = 0) -> Any:
        """A value that the schema would pass, more or less."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return self.instance(noise, self.document["components"]["schemas"][name], depth)
        for word in ("anyOf", "oneOf", "allOf"):
            if word in schema:
                return self.instance(noise, noise.rng.choice(schema[word]), depth)
        if "enum" in schema:
            return noise.rng.choice(schema["enum"])
        kind = schema.get("type", "object")
        if isinstance(kind, list):
            kind = noise.rng.choice(kind)
        if kind == "object":
            required = set(schema.get("required", ()))
            return {
                name: self.instance(noise, inner, depth + 1)
                for name, inner in schema.get("properties", {}).items()
                if depth < 4 and (name in required or noise.chance(0.4))
            }
        if kind == "array":
            return [
                self.instance(noise, schema.get("items", {}), depth + 1)
                for _ in range(noise.rng.randrange(3))
            ]
        return self._scalar(noise, kind, schema)

    def _scalar(self, noise: Noise, kind: str, schema: dict[str, Any]) -> Any:
        if kind == "integer":
            return noise.rng.randrange(1000)
        if kind == "number":
            return noise.rng.random() * 100
        if kind == "boolean":
            return noise.chance(0.5)
        if kind == "null":
            return None
        match schema.get("format"):
            case "uuid":
                return noise.rng.choice(self.ids) if self.ids else _id(noise)
            case "date-time":
                return f"2027-0{noise.rng.randrange(1, 10)}-11T10:00:00Z"
            case "date":
                return "2027-03-11"
            case "email":
                return f"{noise.rng.randrange(10**9)}@x.example"
        return f"text {noise.rng.randrange(10**9)}"


def _id(noise: Noise) -> str:
    if noise.chance(0.5):
        return str(uuid.UUID(int=noise.rng.getrandbits(128)))
    return _quoted(noise.text()[:100]) or "0"


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


def _header(text: str) -> str:
    """What an HTTP client can send as a header at all."""
    return "".join(char for char in text if " " <= char <= "~")[:4000] or "x"
