"""How REST shares the database: callers wait for themselves, strangers for strangers."""

import asyncio
import contextlib
import json
import socket
import uuid

import aiohttp.web
import pytest

from crm_core.people.models import Person
from crm_core.tenants.service import ApiGrant, Unauthorized
from signaling.http.rest import sending
from signaling.http.rest import turns as rest_turns
from signaling.http.rest.body import SMALL_BODY
from signaling.http.rest.problems import HttpProblem
from signaling.http.rest.turns import (
    KNOWN_KEYS,
    MAX_UNSENT,
    MAX_WAITING,
    RestTurns,
)
from storage.turns import Turns
from tests.signaling.http.rest.support import ADDRESS, LONG_PERSON, Rest, client_of
from tests.support.wait import until


class BusyDatabase:
    """Whoever begins something waits for the gate; `begun` says who did, in order."""

    dialect = "sqlite"

    def __init__(self):
        self.gate = asyncio.Event()
        self.begun = []
        self.request_turns = Turns()

    @contextlib.asynccontextmanager
    async def unit_of_work(self, tenant_id, *, actor_id, in_turn):
        assert in_turn
        self.begun.append((tenant_id, actor_id))
        await self.gate.wait()
        yield None

    async def authenticate(self, secret):
        self.begun.append(secret)
        await self.gate.wait()
        if secret.startswith("wrong"):
            raise Unauthorized
        return secret


def waiting(turns):
    """Requests in any row."""
    return turns.waiting() + turns._writes.waiting()


def there():
    return True


class Desk:
    """The turns over a busy database, and requests that wait for them."""

    def __init__(self):
        self.database = BusyDatabase()
        self.turns = RestTurns(self.database)
        self.asked = []

    def ask(self, work):
        self.asked.append(asyncio.create_task(work))

    def check(self, secret, address, is_there=there):
        self.ask(self.turns.authenticate(secret, address, is_there))

    def write(self, grant, is_there=there):
        async def write():
            async with self.turns.writing(grant, is_there):
                pass

        self.ask(write())

    async def let_go(self):
        self.database.gate.set()
        await asyncio.wait_for(asyncio.gather(*self.asked, return_exceptions=True), 10)


def grant_of(tenant, key=None):
    return ApiGrant(tenant, key or tenant, key or tenant)


def recorded(turns):
    """Whose turns are taken from now on: which they are, and the path of who took one."""
    taken = []

    def record(name, each):
        take = each.take

        def noted(*asker, **rest):
            if asker[-1] is not None:  # a meeting, where it has the same row
                taken.append((name, *asker))
            return take(*asker, **rest)

        each.take = noted

    for name in ("reads", "writes", "bodies", "look_ups", "strangers"):
        record(name, getattr(turns, f"_{name}"))
    return taken


@pytest.fixture
def desk(monkeypatch):
    made = Desk()
    monkeypatch.setattr(
        rest_turns, "authenticate", lambda database, secret: database.authenticate(secret)
    )
    return made


async def test_a_tenant_with_many_requests_waits_for_itself(desk):
    """The other tenant's only one, and the other key's, are next but one."""
    for _ in range(50):
        desk.write(grant_of("crowd", "busy"))
    desk.write(grant_of("crowd", "quiet"))
    desk.write(grant_of("other"))
    await until(lambda: waiting(desk.turns) == 51)
    await desk.let_go()
    assert desk.database.begun[:5] == [
        ("crowd", "busy"), ("crowd", "busy"), ("other", "other"), ("crowd", "quiet"), ("crowd", "busy"),
    ]  # fmt: skip
    assert waiting(desk.turns) == 0


async def test_who_guesses_keys_waits_for_others_who_do(desk):
    """One at a time, visitors in rotation; a key that was good before waits for none of them."""
    desk.database.gate.set()
    assert await desk.turns.authenticate("good", "office", there) == "good"
    assert not desk.turns._strangers._free, "the loop is everybody else's for as long as that took"
    await until(lambda: desk.turns._strangers._free)
    desk.database.gate.clear()
    desk.database.begun.clear()
    for number in range(50):
        desk.check(f"wrong {number}", "guesser")
    desk.check("new", "somebody")
    await until(lambda: waiting(desk.turns) == 50)
    desk.check("good", "guesser")
    await until(lambda: "good" in desk.database.begun)
    assert desk.database.begun == ["wrong 0", "good"]
    await desk.let_go()
    assert desk.database.begun[2:4] == ["wrong 1", "new"]


async def test_a_key_is_known_for_as_long_as_it_is_good(desk):
    """Revoked, it is a stranger's like any other; many good ones do not fill the memory."""
    desk.database.gate.set()
    for number in range(KNOWN_KEYS + 10):
        await desk.turns.authenticate(f"good {number}", "office", there)
    assert len(desk.turns._known) == KNOWN_KEYS
    await desk.turns.authenticate("good 10", "office", there)  # the longest unused, before
    await desk.turns.authenticate("another", "office", there)
    taken = recorded(desk.turns)
    await desk.turns.authenticate("good 10", "office", there)
    await desk.turns.authenticate("good 11", "office", there)
    assert [name for name, *_ in taken] == ["look_ups", "strangers"]
    desk.turns._known.clear()
    await desk.turns.authenticate("soon revoked", "office", there)
    desk.database.authenticate = _revoked
    with pytest.raises(Unauthorized):
        await desk.turns.authenticate("soon revoked", "office", there)
    assert not desk.turns._known


async def test_who_has_too_many_waiting_is_refused_alone(desk):
    """They could else fill the memory."""
    for _ in range(MAX_WAITING + 1):  # one has its turn
        desk.write(grant_of("crowd"))
        desk.check("wrong", "guesser")
    await until(lambda: waiting(desk.turns) == 2 * MAX_WAITING)
    for refused in (
        desk.turns.writing(grant_of("crowd"), there).__aenter__(),
        desk.turns.authenticate("wrong", "guesser", there),
    ):
        with pytest.raises(HttpProblem) as problem:
            await refused
        assert (problem.value.status, problem.value.headers) == (429, {"Retry-After": "1"})
    desk.write(grant_of("other"))
    desk.check("new", "somebody")
    await until(lambda: waiting(desk.turns) == 2 * MAX_WAITING + 2)
    await desk.let_go()
    assert len(desk.database.begun) == 2 * MAX_WAITING + 4


async def test_strangers_are_refused_above_their_number_who_has_most_waiting_first(
    desk, monkeypatch
):
    """Somebody new is not, nor a key that was good before."""
    desk.database.gate.set()
    await desk.turns.authenticate("good", "office", there)
    await until(lambda: desk.turns._strangers._free)
    desk.database.gate.clear()
    desk.database.begun.clear()
    monkeypatch.setattr(rest_turns, "MAX_STRANGERS", 10)
    for number in range(11):
        desk.check(f"wrong {number}", "guesser")
    await until(lambda: waiting(desk.turns) == 10)
    for secret in ("new", "newer"):
        desk.check(secret, "somebody")
    await until(desk.asked[2].done)
    for refused in (desk.asked[1], desk.asked[2]):
        assert refused.exception().status == 429
    with pytest.raises(HttpProblem):
        await desk.turns.authenticate("wrong 11", "guesser", there)
    desk.check("good", "office")
    await desk.let_go()
    assert desk.asked[-1].result() == "good"
    assert desk.database.begun == [
        "wrong 0", "good", "wrong 3", "new", "wrong 4", "newer", *(f"wrong {n}" for n in range(5, 11)),
    ]  # fmt: skip


async def test_what_a_caller_asked_who_hung_up_is_not_carried_out(desk):
    """Neither the look for the key nor what they would have written."""
    for who in ("first", "gone", "next"):
        desk.write(grant_of(who), lambda who=who: who != "gone")
        desk.check(who, who, lambda who=who: who != "gone")
    await until(lambda: waiting(desk.turns) == 4)
    await desk.let_go()
    assert sorted(desk.database.begun, key=str) == sorted(
        ["first", "next", ("first", "first"), ("next", "next")], key=str
    )


async def _revoked(_secret):
    raise Unauthorized


async def test_a_request_waits_in_its_callers_row(database, tenant):
    """At first as a stranger, by address; then by key, and at the database by tenant and key."""
    turns = RestTurns(database)
    taken = recorded(turns)
    async with client_of(database, turns) as http:
        rest = Rest(http, tenant.api_key_secret)
        person = await rest.make("people", first_name="Jane", custom_fields={"x": "y" * SMALL_BODY})
        async with database.unit_of_work(
            tenant.tenant.id
        ) as unit:  # whoever reads waits for no writer
            row = await unit.session.get(Person, (tenant.tenant.id, uuid.UUID(person.id)))
            assert row.created_by == tenant.staff.id
            assert (await asyncio.wait_for(rest.get(f"/v1/people/{person.id}"), 30)).status == 200
    names = [name for name, *_ in taken]
    assert names == ["strangers", "bodies", "writes", "look_ups", "reads"]
    (_, *stranger), (_, *sender), (_, *writer), (_, *_), (_, *reader) = taken
    assert stranger == [ADDRESS]
    assert reader == writer == sender
    assert turns._bodies._pauses
    assert (writer[0], len(writer)) == (tenant.tenant.id, 2)


@pytest.mark.parametrize(
    ("row", "asked", "done"),
    [
        ("strangers", ("GET", "/v1/people", None), "signaling.http.rest.turns.authenticate"),
        ("look_ups", ("GET", "/v1/people", None), "signaling.http.rest.turns.authenticate"),
        ("reads", ("GET", "/v1/people", None), "crm_core.resources.store.list_page"),
        (
            "bodies",
            ("POST", "/v1/people", {"first_name": "x" * SMALL_BODY}),
            "signaling.http.rest.body._decode",
        ),
        ("writes", ("POST", "/v1/people", {"first_name": "x"}), "crm_core.resources.store.create"),
    ],
)
async def test_nothing_is_done_for_a_client_who_hung_up_before_their_turn(
    database, tenant, monkeypatch, row, asked, done
):
    """Neither the look for their key nor what they asked for."""
    turns, calls = RestTurns(database), []
    async with client_of(database, turns) as http:
        rest = Rest(http, tenant.api_key_secret)
        held_row = getattr(turns, f"_{row}")
        at_once = held_row._free
        if row != "strangers":
            await rest.get("/v1/people?limit=1")
        await until(lambda: held_row._free == at_once)
        async with contextlib.AsyncExitStack() as held:
            for number in range(at_once):
                path = (number,) if row in {"strangers", "look_ups"} else (number, "busy")
                await held.enter_async_context(held_row.take(*path))
            monkeypatch.setattr(done, lambda *args, **how: calls.append((args, how)))
            method, where, body = asked
            gone = asyncio.create_task(rest.call(method, where, body=body))
            await until(lambda: waiting(turns) == 1)
            connections = http.server.runner.server.connections
            gone.cancel()
            await until(lambda: not connections or connections[0].transport is None)
        await until(lambda: held_row._free == at_once)
    assert waiting(turns) == 0
    assert not calls


async def test_what_a_meeting_writes_is_not_behind_a_crowd_of_requests(database, tenant):
    """SQLite's one writer takes it after the request that has it; PostgreSQL has another connection."""
    turns, gate, done = RestTurns(database), asyncio.Event(), []
    grant = ApiGrant(tenant.tenant.id, uuid.uuid4(), None)

    async def request():
        async with turns.writing(grant, there):
            await gate.wait()
            done.append("request")

    async def meeting():
        async with database.unit_of_work(tenant.tenant.id):
            done.append("meeting")

    at_once = min(turns._writes._free, turns._writes._of_one)
    crowd = [asyncio.create_task(request()) for _ in range(50)]
    await until(lambda: waiting(turns) + at_once == 50)
    fact = asyncio.create_task(meeting())
    if database.dialect == "postgresql":
        await until(lambda: done == ["meeting"])
    gate.set()
    await asyncio.wait_for(asyncio.gather(fact, *crowd), 30)
    assert done.index("meeting") <= 2


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_who_asks_for_another_waits_for_no_row_of_a_tenant(database, tenant, other_tenant):
    """Nor for a request that is itself behind all that its own tenant's meetings write."""
    turns, done, gate = RestTurns(database), [], asyncio.Event()
    crowd, other = (ApiGrant(each.tenant.id, uuid.uuid4(), None) for each in (tenant, other_tenant))

    async def meeting():
        async with database.unit_of_work(crowd.tenant_id):
            await gate.wait()
            done.append("meeting")

    async def request(grant, name):
        async with turns.writing(grant, there):
            done.append(name)

    tasks = [asyncio.create_task(meeting()) for _ in range(20)]
    await until(database.waiting)
    tasks += [asyncio.create_task(request(crowd, "crowd's")) for _ in range(4)]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(request(other, "other's"))]
    await until(lambda: database.waiting() == 24)
    gate.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 30)
    assert done.index("other's") <= 2


async def test_who_takes_no_large_answers_gets_no_more_of_them(database, tenant):
    """Eight of one key, also when it writes, as a record is answered; another's is not counted."""
    turns, key = RestTurns(database), uuid.uuid4()
    ours, theirs = (ApiGrant(tenant.tenant.id, each, None) for each in (key, uuid.uuid4()))
    with contextlib.ExitStack() as stack:
        for _ in range(MAX_UNSENT):
            async with turns.reading(ours, there):
                stack.enter_context(turns.sending(ours))
        for refused in (turns.reading, turns.writing):
            with pytest.raises(HttpProblem, match="read them first") as problem:
                await refused(ours, there).__aenter__()
            assert problem.value.status == 429
        async with turns.reading(theirs, there):
            pass
    async with turns.reading(ours, there):
        pass
    assert not turns._unsent


async def test_answers_that_nobody_reads_are_not_made_without_end(database, tenant):
    """Of records that are read, and of those that are written; what is small is not counted."""
    turns = RestTurns(database)
    async with client_of(database, turns) as http:
        rest = Rest(http, tenant.api_key_secret)
        person = await rest.make("people", first_name="Jane", **LONG_PERSON)
        path = f"/v1/people/{person.id}"
        await until(lambda: not turns._unsent)
        ask = (
            f"GET {path} HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {tenant.api_key_secret}\r\n\r\n"
        )
        (listener,) = http.server.runner.sites.pop()._server.sockets
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # and of who connects next
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(MAX_UNSENT):
                stack.enter_context(_silent(http.port, ask))
            await until(lambda: turns._unsent.total() == MAX_UNSENT)
            for answer in (
                await rest.get(path),
                await rest.patch(path, {"last_name": "Doe"}, person.etag),
            ):
                assert (answer.status, answer.json["code"]) == (429, "rate")
        await until(lambda: not turns._unsent)
        assert (await rest.patch(path, {"last_name": "Doe"}, person.etag)).status == 200


async def test_a_stranger_gets_so_many_large_documents_at_once(database, tenant):
    """Who reads nothing has eight of them; the others are told to read first."""
    turns = RestTurns(database)
    async with client_of(database, turns) as http:
        (listener,) = http.server.runner.sites.pop()._server.sockets
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        rest = Rest(http, tenant.api_key_secret)
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(MAX_UNSENT):
                ask = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
                stack.enter_context(_silent(http.port, ask))
            await until(lambda: turns._unsent.total() == MAX_UNSENT)
            assert (await rest.get("/openapi.json")).status == 429
            assert (await rest.get("/v1/people")).status == 200
        await until(lambda: not turns._unsent)
        assert (await rest.get("/openapi.json")).status == 200


@contextlib.contextmanager
def _silent(port, ask):
    """A client that asks and reads nothing."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.sendall(ask.encode())
        yield


async def test_so_many_large_bodies_of_a_key_are_there_at_once(database, tenant, monkeypatch):
    """Whether their length is told or not; small ones are as many as wait."""
    monkeypatch.setattr(rest_turns, "MAX_BODIES", 2)
    turns = RestTurns(database)
    large = json.dumps({"first_name": "Jane", "custom_fields": {"x": "y" * SMALL_BODY}}).encode()

    async def in_pieces():
        yield large

    async with (
        asyncio.timeout(60),
        client_of(database, turns) as http,
        contextlib.AsyncExitStack() as held,
    ):
        rest = Rest(http, tenant.api_key_secret)
        await rest.make("people", first_name="Known")
        for number in range(turns._writes._free):
            await held.enter_async_context(turns._writes.take(number, "busy"))
        tasks = [
            asyncio.create_task(rest.call("POST", "/v1/people", body=large)),
            asyncio.create_task(rest.call("POST", "/v1/people", body=large)),
            asyncio.create_task(rest.post("/v1/people", {"first_name": "Small"})),
        ]
        await until(lambda: waiting(turns) == 3)
        assert (await rest.call("POST", "/v1/people", body=large)).status == 429
        headers = {"Authorization": f"Bearer {rest.key}", "Content-Type": "application/json"}
        async with http.post("/v1/people", data=in_pieces(), headers=headers) as answer:
            assert answer.status == 429
        await held.aclose()
        assert [(await task).status for task in tasks] == [201, 201, 201]
        assert (await rest.call("POST", "/v1/people", body=large)).status == 201
    assert not turns._held


class Caller:
    """A caller who takes an answer when the gate is open, and notes what they are sent."""

    def __init__(self):
        self.gate = asyncio.Event()
        self.transport = self
        self.aborted = False

    def abort(self):
        self.aborted = True

    async def take(self):
        await self.gate.wait()


class Answer(aiohttp.web.Response):
    """One that is written to a `Caller`."""

    async def prepare(self, request):
        self.caller = request

    async def write_eof(self, _data=b""):
        await self.caller.take()


async def test_an_answer_is_written_until_it_is_taken(monkeypatch):
    """By whoever takes it in time; others are cut off."""
    caller = Caller()
    sent = asyncio.create_task(sending.send(caller, Answer(body=b"x" * 300_000)))
    await asyncio.sleep(0)
    assert not sent.done()
    caller.gate.set()
    await sent
    assert not caller.aborted
    monkeypatch.setattr(sending, "PATIENCE", 0.0)
    monkeypatch.setattr(sending, "SLOWEST", 1e12)
    slow = Caller()
    await sending.send(slow, Answer(body=b"x" * 300_000))
    assert slow.aborted


async def test_who_is_cut_off_while_they_are_answered_is_no_fault_of_ours():
    class Cut(Answer):
        async def write_eof(self, _data=b""):
            raise ConnectionResetError

    caller = Caller()
    await sending.send(caller, Cut(body=b"x" * 300_000))
    assert caller.aborted


async def test_a_large_answer_counts_while_it_is_sent(database, tenant, monkeypatch):
    """And a small one never does."""
    turns, counted = RestTurns(database), []
    send = sending.send

    async def note(request, response):
        counted.append(turns._unsent.total())
        await send(request, response)

    monkeypatch.setattr(sending, "send", note)
    async with client_of(database, turns) as http:
        rest = Rest(http, tenant.api_key_secret)
        await rest.make("people", first_name="Jane")
        await rest.get("/v1/people")
        assert counted == []
        person = await rest.make("people", first_name="Jane", **LONG_PERSON)
        answer = await rest.get(f"/v1/people/{person.id}")
        assert answer.json["goals"] == LONG_PERSON["goals"]
    assert counted == [1, 1]
    assert turns._unsent.total() == 0
