"""The CRM as resources: declarations, and the few pieces of code that serve all of them.

``declaration.py`` is what a noun writes about itself, ``fields.py`` turns its columns into typed
fields, ``query.py`` compiles list requests, ``store.py`` reads and writes. HTTP is not known here:
``signaling.http.rest`` puts it on top.
"""
