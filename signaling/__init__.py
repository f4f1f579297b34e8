"""The top layer: everything browsers and CRM backends talk to.

HTTP and WebSocket shell, protocol messages, tokens, the conductor that introduces rooms to
media, the journal that makes facts durable, and the composition root. It holds no meeting
rule (those are in ``rooms``) and no packet arithmetic (that is in ``engine``).
"""
