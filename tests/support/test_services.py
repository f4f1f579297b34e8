"""The services that tests rely on really serve."""

import psycopg
import redis as redis_client


def test_postgres_answers_as_superuser(postgres_url):
    """The cluster is new enough and the given user may create roles and databases."""
    with psycopg.connect(postgres_url) as connection:
        row = connection.execute("SHOW server_version_num").fetchone()
        superuser = connection.execute(
            "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    assert int(row[0]) >= 150000
    assert superuser == (True,)


def test_redis_answers(redis_url):
    """The server speaks the protocol, not just TCP."""
    with redis_client.Redis.from_url(redis_url) as client:
        assert client.ping()
