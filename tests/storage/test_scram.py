"""The stored form of a password, against the published example and a real server's own."""

import base64
import hashlib
import hmac

import psycopg

from storage.scram import verifier


def test_the_example_of_the_rfc_comes_out():
    """RFC 7677 section 3: from our keys follow the signature and the proof that it prints."""
    made = verifier("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="))
    head, salt, keys = made.split("$")
    assert (head, salt) == ("SCRAM-SHA-256", "4096:W22ZaJ0SNY7soEsUEjb6gQ==")
    stored_key, server_key = (base64.b64decode(key) for key in keys.split(":"))
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    said = (
        f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
        f"c=biws,r={nonce}"
    ).encode()
    signature = base64.b64encode(hmac.digest(server_key, said, "sha256")).decode()
    assert signature == "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    mask = hmac.digest(stored_key, said, "sha256")
    client_key = bytes(a ^ b for a, b in zip(proof, mask, strict=True))
    assert hashlib.sha256(client_key).digest() == stored_key


def test_the_server_makes_the_same_of_the_password(postgres_url):
    """With PostgreSQL's own salt our verifier is byte for byte what it stored."""
    with psycopg.connect(postgres_url) as connection:
        connection.execute("SET LOCAL password_encryption = 'scram-sha-256'")
        connection.execute("CREATE ROLE scram_example LOGIN PASSWORD 'pa:$$ word'")
        (stored,) = connection.execute(
            "SELECT rolpassword FROM pg_authid WHERE rolname = 'scram_example'"
        ).fetchone()
        connection.rollback()
    salt = base64.b64decode(stored.split("$")[1].partition(":")[2])
    assert verifier("pa:$$ word", salt) == stored


def test_two_verifiers_of_one_password_differ():
    """Each has a salt of its own."""
    assert verifier("same") != verifier("same")
