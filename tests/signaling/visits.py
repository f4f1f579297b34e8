"""People who come to one room's writer in tests, and what they ask and hear."""

from rooms.commands import Enter as EnterRoom
from rooms.ids import Identity
from rooms.policy import IdentityKind, Role
from signaling.tokens import ResumeGrant
from tests.signaling.fakes import KEY, events, hello, reply, request


def entering(who, role=Role.PARTICIPANT, lobby=False, link=None):
    kind = IdentityKind.STAFF if role is Role.HOST else IdentityKind.GUEST
    identity = Identity(f"{kind}:{who}")
    return EnterRoom(identity, kind, who, role=role, lobby=lobby, link=link)


async def enter(stage, who, role=Role.PARTICIPANT, *, lobby=False, link=None, actor=None):
    """Somebody comes in; the client, attached."""
    client = stage.client()
    hello(client, token="t")
    await (actor or stage.actor).entrance.enter(
        client, "h", lambda: entering(who, role, lobby, link)
    )
    (actor or stage.actor).heard(client)
    return client


async def ask(stage, client, method, request_id="r", **params):
    await stage.actor.perform(client, request(method, request_id, **params))
    return reply(client, request_id)


def grant_of(client, **changes):
    secret = reply(client, "h")["p"]
    values = {
        "tenant_id": KEY.tenant_id, "room_id": KEY.room_id, "session_no": 1,
        "participant": secret["participant"], "identity": "x", "conn_epoch": client.conn_epoch,
    }  # fmt: skip
    return ResumeGrant(**{**values, **changes})


async def resume(stage, old, positions):
    client = stage.client()
    hello(client, resume={"secret": "s"})
    await stage.actor.entrance.resume(client, "h", grant_of(old), positions)
    return client


def positions_of(client):
    """What a client that applied everything would send."""
    found = {}
    for frame in events(client):
        if frame["t"] == "snapshot":
            found = {stream: tuple(at) for stream, at in frame["p"]["positions"].items()}
        elif "s" in frame:
            found[frame["st"]] = (frame["ep"], frame["s"])
    return found
