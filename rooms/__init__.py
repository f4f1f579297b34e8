"""The meeting, sans-I/O: commands in, events out.

No clock, no socket, no database, no randomness: time and ids are arguments. A shell feeds
commands and timeouts and carries the events away. Start reading at ``rooms.room``.
"""
