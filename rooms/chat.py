"""Chat: to everybody in the scope, or to one; numbered, bounded, editable for a while.

The number rises strictly over public and private messages of a scope and is given at the
decision, so everybody sees one order. Bodies are text: markup is stored as it came and is the
client's to escape (``rooms.text``). A private message is seen by its two ends only, whatever their
roles become. Messages beyond the newest thousand stay in the tables; the room shows them no more.
"""

from typing import Any

import msgspec

from .commands import ChatDelete, ChatEdit, ChatPage, ChatSend
from .errors import Code, RoomError
from .events import Body, ChatDeleted, ChatEdited, ChatMessage
from .ids import MAIN, MessageId, scope_stream, self_stream
from .limits import CHAT_BYTES
from .participant import SHOWN_ROLES, Participant
from .permissions import require
from .policy import Right
from .state import Kept, State
from .states import CHAT_MESSAGE_MACHINE
from .step import Step
from .text import clean
from .timers import CHAT_EDIT_S


def chat_send(step: Step, actor: Participant, action: ChatSend) -> dict[str, Any]:
    """Write a message.

    Returns:
        ``message``: its ``id`` and ``no``.

    Raises:
        RoomError: ``forbidden``, ``too_large``, ``bad_request``, ``rate``, ``not_found``,
            ``recipient_gone``; nothing is stored then.
    """
    state = step.state
    if action.to is None:
        require(state, actor, Right.CHAT)
    else:
        require(state, actor, Right.CHAT_PRIVATE)
        _check_recipient(step, actor, step.row(action.to))
    body = clean(action.body)
    step.live.buckets.take("chat", actor.id, step.now)
    message = ChatMessage(
        id=MessageId(step.ids.new()),
        no=state.chat_no + 1,
        from_=actor.id,
        body=body,
        at=step.at,
        to=action.to,
        name=actor.name,
    )
    _publish(step, message, message)
    return {"message": {"id": message.id, "no": message.no}}


def chat_edit(step: Step, actor: Participant, action: ChatEdit) -> dict[str, Any]:
    """Change an own message.

    Raises:
        RoomError: ``forbidden``, ``not_found``, ``closed`` after 15 minutes, ``too_large``,
            ``bad_request``, ``rate``.
    """
    kept = _find(step, actor, action.id)
    message = kept.message
    require(step.state, actor, Right.CHAT if message.to is None else Right.CHAT_PRIVATE)
    if message.from_ != actor.id:
        raise RoomError(Code.FORBIDDEN, "only its author may change a message", need="author")
    if step.now - kept.sent > CHAT_EDIT_S:
        raise RoomError(Code.CLOSED, "a message can be changed for 15 minutes")
    body = clean(action.body)
    step.live.buckets.take("chat", actor.id, step.now)
    _publish(step, message, ChatEdited(id=message.id, no=message.no, body=body, at=step.at))
    return {}


def chat_delete(step: Step, actor: Participant, action: ChatDelete) -> dict[str, Any]:
    """Take a message's body away.

    Raises:
        RoomError: ``forbidden`` for others' messages without the right, ``not_found``.
    """
    message = _find(step, actor, action.id).message
    if message.from_ != actor.id:
        require(step.state, actor, Right.DELETE_MESSAGES)
    _publish(step, message, ChatDeleted(id=message.id, no=message.no))
    return {}


def chat_page(step: Step, actor: Participant, action: ChatPage) -> dict[str, Any]:
    """Read older messages.

    Returns:
        ``messages``, oldest first, fewer than asked for when they are long, and ``more``:
        whether there are older visible ones.
    """
    messages = visible(step.state, actor, action.before)
    page = newest(messages, action.n)
    return {"messages": msgspec.to_builtins(page), "more": len(messages) > len(page)}


def visible(state: State, reader: Participant, before: int | None = None) -> list[ChatMessage]:
    """What the reader may see of the messages in memory, oldest first.

    With the history policy ``since_join`` nothing older than the reader's admission, however the
    cursor is chosen.
    """
    floor = reader.joined_no if state.policy.history == "since_join" else 0
    return [
        kept.message
        for kept in state.chat
        if floor < kept.message.no
        and (before is None or kept.message.no < before)
        and _between(kept.message, reader)
    ]


def newest(messages: list[ChatMessage], count: int) -> list[ChatMessage]:
    """The last of these, at most so many and so many bytes as a client may be sent at once."""
    size, first = 0, len(messages)
    for message in reversed(messages[-count:]):
        size += len(message.body.encode())
        if size > CHAT_BYTES:
            break
        first -= 1
    return messages[first:]


def _check_recipient(step: Step, actor: Participant, recipient: Participant) -> None:
    if recipient.id == actor.id:
        raise RoomError(Code.BAD_REQUEST, "a message to oneself goes nowhere")
    if not recipient.present:
        raise RoomError(Code.RECIPIENT_GONE, "the recipient has left")
    open_to_all = step.state.policy.private == "all" or actor.role in SHOWN_ROLES
    if not (open_to_all or recipient.hosting):
        raise RoomError(
            Code.FORBIDDEN, "private messages go to hosts here", need=Right.CHAT_PRIVATE.value
        )


def _between(message: ChatMessage, reader: Participant) -> bool:
    return message.to is None or reader.id in {message.from_, message.to}


def _find(step: Step, actor: Participant, id_: MessageId) -> Kept:
    kept = step.state.kept(id_)
    if (
        kept is None
        or not CHAT_MESSAGE_MACHINE.allows(kept.message.state, "delete")
        or not _between(kept.message, actor)
    ):
        raise RoomError(Code.NOT_FOUND, "there is no such message")
    return kept


def _publish(step: Step, message: ChatMessage, body: Body) -> None:
    """State a fact about ``message`` to whoever may see it: one stored, a copy to the other end."""
    if message.to is None:
        step.fact(body, scope_stream(MAIN))
    else:
        step.fact(body, self_stream(message.from_))
        step.show(body, self_stream(message.to))
