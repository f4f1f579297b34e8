"""Meetings as records: rooms, sittings, who was there, what was said, and the room journal.

The rules of a live meeting are in ``rooms``; this package only keeps what happened.
"""
