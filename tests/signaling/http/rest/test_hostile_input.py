"""Input that nobody sane sends: every answer is a problem document, none is a 5xx."""

import random
import string

import pytest

from crm_core.resources.registry import RESOURCES

SEED = 3


def _junk(chance, depth=0):
    """A random JSON value that leans towards what breaks decoders."""
    nasty = [
        None, True, False, 0, -1, 2**31, 2**63, 2**64, 10**40, 1e308, -0.0, 0.1, "", "\x00", "\ud800"[0:0],
        "a" * 300, "é" * 255, "😀" * 255, "null", "2026-13-45", "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00", "1e400", "' OR 1=1 --", "%00", "\u202e", "🏳️‍🌈",
        "01900000-0000-7000-8000-000000000000", "99999999999999.9999",
    ]  # fmt: skip
    if depth < 4 and chance.random() < 0.3:
        if chance.random() < 0.5:
            return [_junk(chance, depth + 1) for _ in range(chance.randrange(4))]
        return {
            "".join(chance.choices(string.printable, k=3)): _junk(chance, depth + 1)
            for _ in range(chance.randrange(4))
        }
    return chance.choice(nasty)


def _is_refusal(answer):
    return 400 <= answer.status < 500 and answer.json["code"] and answer.json["detail"]


async def test_no_generated_body_breaks_a_resource(rest):
    """Random values in real fields, made and patched: 2xx or a problem, never a 5xx."""
    print("seed", SEED)
    chance = random.Random(SEED)
    writable = [each for each in RESOURCES if "create" in each.operations]
    for _ in range(400):
        resource = chance.choice(writable)
        names = chance.sample(sorted(resource.create_fields), k=min(4, len(resource.create_fields)))
        body = {name: _junk(chance) for name in names}
        for field in resource.create_fields.values():
            if field.required and chance.random() < 0.9:
                body.setdefault(
                    field.name,
                    {"text": "x", "timestamp": "2026-01-01T00:00:00Z"}.get(field.kind.name, 1),
                )
        answer = await rest.post(f"/v1/{resource.name}", body)
        assert answer.status == 201 or _is_refusal(answer), (resource.name, body, answer)
        if answer.status == 201 and "update" in resource.operations:
            name = chance.choice(sorted(resource.update_fields))
            changed = await rest.patch(
                f"/v1/{resource.name}/{answer.id}", {name: _junk(chance)}, answer.etag
            )
            assert changed.status == 200 or _is_refusal(changed), (resource.name, name, changed)


async def test_no_generated_query_breaks_a_list(rest):
    """Random parameters on every list: 200 or a problem, never a 5xx."""
    print("seed", SEED)
    chance = random.Random(SEED)
    values = ["", "1", "true", "null", "-id", "\x00", "a" * 5000, "%", "*", "\\", ",", "[]", "é",
              "01900000-0000-7000-8000-000000000000", "2026-01-01T00:00:00Z", "9" * 30]  # fmt: skip
    for _ in range(300):
        resource = chance.choice(RESOURCES)
        name = chance.choice(
            [*resource.filters, "sort", "limit", "after", "include", "fields", "x", "a.b", "[", ""]
        )
        op = chance.choice(["", "[in]", "[like]", "[null]", "[gt]", "[ne]", "[zz]", "["])
        async with rest.http.get(
            f"/v1/{resource.name}",
            params={name + op: chance.choice(values)},
            headers={"Authorization": f"Bearer {rest.key}"},
        ) as response:
            assert response.status == 200 or 400 <= response.status < 500, (name, op)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b"[1]", 422),
        (b'"x"', 422),
        (b"\xff\xfe", 400),
        (b'{"first_name": "\xed\xa0\x80"}', 400),
        (b'{"first_name": "\\ud800"}', 400),
        (b'{"first_name": "a\\u0000b"}', 400),
        (b"[" * 100_000, 400),
        (b'{"a":' * 500 + b"1" + b"}" * 500, 400),
        (b'{"custom_fields": {"n": ' + b"9" * 5000 + b'}, "first_name": "x"}', 400),
        (b'{"first_name": "x", "custom_fields": {"n": 1e999}}', 400),
        (b'{"first_name": "x"}' + b" " * (1024 * 1024), 413),
    ],
)  # fmt: skip
async def test_a_broken_body_is_a_clear_refusal(rest, body, status):
    """Broken, oversized, too deep or unstorable JSON answers 4xx with a code."""
    answer = await rest.call("POST", "/v1/people", body=body)
    assert answer.status == status
    assert _is_refusal(answer)


async def test_another_media_type_is_refused(rest):
    """Only JSON is read."""
    answer = await rest.call("POST", "/v1/people", body=b"a=1", Content_Type="text/plain")
    assert (answer.status, answer.json["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic abc",
        "Bearer sk_nope",
        "Bearer " + "x" * 9000,
        "Bearer \u00e9",
    ],
)
async def test_no_key_no_answer(http, header):
    """Whatever is wrong with the key, the answer is the same 401."""
    async with http.get("/v1/people", headers={"Authorization": header}) as response:
        assert response.status in (400, 401)  # aiohttp refuses an oversized header itself
        if response.status == 401:
            assert (await response.json())["code"] == "unauthorized"
            assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_paths_and_methods_that_do_not_exist_are_problems(rest):
    """404 and 405 are problem documents; 405 says what is allowed."""
    nowhere = await rest.get("/v1/unicorns")
    assert (nowhere.status, nowhere.json["code"]) == (404, "not_found")
    wrong = await rest.call("PUT", "/v1/people")
    assert (wrong.status, wrong.headers["Allow"]) == (405, "GET, HEAD, POST")
    read_only = await rest.post("/v1/video_rooms")
    assert read_only.status == 405
    assert (await rest.get("/v1/people/not-an-id")).status == 404


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there"])
async def test_a_bad_idempotency_key_is_refused(rest, key):
    """Keys are 1 to 255 printable ASCII characters."""
    answer = await rest.post("/v1/people", {"first_name": "x"}, Idempotency_Key=key)
    assert (answer.status, answer.json["code"]) == (400, "bad_idempotency_key")
