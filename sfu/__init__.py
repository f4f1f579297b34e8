"""The media shell: asyncio round the packet engine.

SDP negotiation, DTLS and data channels on aiortc, the port to the compiled engine, and the
pure policies of who sees what. No RTP, RTCP or STUN byte is ever visible here; those stay in
the Rust engine. Start reading at ``sfu.engine`` for the words, then ``sfu.media`` and
``sfu.transport`` for what happens at a join, ``sfu.negotiation`` for offers and answers, and
``sfu.pages`` with ``sfu.subscriptions`` for who is shown to whom.
"""
