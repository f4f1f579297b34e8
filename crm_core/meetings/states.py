"""The closed sets of words in the meeting tables.

They are the states and roles of the live meeting (``rooms``); a test compares the two. The CHECK
constraints of ``models.py`` are made from these tuples.
"""

ROOM_TYPES = ("consultation", "training", "webinar", "instant")
ROOM_STATES = (
    "draft",
    "scheduled",
    "lobby_open",
    "live",
    "ending",
    "ended",
    "archived",
    "cancelled",
    "expired",
)
ROLES = ("host", "cohost", "presenter", "participant", "observer")
PARTICIPANT_STATES = (
    "invited",
    "waiting",
    "admitted",
    "joining",
    "active",
    "reconnecting",
    "left",
    "denied",
    "removed",
    "banned",
    "timed_out",
)
PARTICIPANT_KINDS = ("person", "service", "recorder", "bot")
CHAT_KINDS = ("public", "private", "lobby", "system", "broadcast")
POLL_STATES = ("draft", "live", "closed", "deleted")
POLL_RESULTS = ("hidden", "hosts", "voters", "all")
QUESTION_STATES = (
    "pending",
    "open",
    "answering",
    "answered",
    "dismissed",
    "withdrawn",
    "merged",
)
BREAKOUT_STATES = ("planned", "opening", "open", "closing", "closed")
ASSIGNMENT_STATES = ("assigned", "invited", "joined", "away", "returned", "moved", "released")
ASSIGNMENT_METHODS = ("auto", "manual", "self")
RECORDING_STATES = (
    "requested",
    "consent_wait",
    "starting",
    "active",
    "paused",
    "stopping",
    "processing",
    "ready",
    "failed",
    "aborted",
    "limit_reached",
    "purged",
)
LINK_ROLES = ("host", "participant")

# A sitting in one of these is still to end.
ROOM_OPEN = ("scheduled", "lobby_open", "live", "ending")
# Another appointment may still share a room in one of these.
ROOM_JOINABLE = frozenset({"draft", "scheduled", "lobby_open", "live"})
# Nobody gets into a room in one of these.
ROOM_OVER = frozenset({"ended", "archived", "cancelled", "expired"})
# Times and presence of somebody in one of these have come to an end.
PARTICIPANT_GONE = frozenset({"left", "denied", "removed", "banned", "timed_out"})
STAFF_ROLES = frozenset({"host", "cohost"})
