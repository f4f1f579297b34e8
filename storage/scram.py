"""What PostgreSQL keeps of a password (RFC 5802, RFC 7677), made here so that it never sees it.

``CREATE ROLE ... PASSWORD`` takes such a verifier as it is. A password in a statement would stand
in server logs, in ``pg_stat_activity`` and in the text of errors.
"""

import base64
import hashlib
import hmac
import secrets

ITERATIONS = 4096
"""PostgreSQL's own number; our passwords are 256 random bits and need no stretching."""


def verifier(password: str, salt: bytes | None = None) -> str:
    """``SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>``.

    Args:
        password: as the login will send it: ASCII, or text that SASLprep leaves as it is.
        salt: 16 random bytes when None.
    """
    salt = secrets.token_bytes(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${ITERATIONS}:{_text(salt)}${_text(stored_key)}:{_text(server_key)}"


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
