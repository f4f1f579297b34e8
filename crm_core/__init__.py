"""The CRM: models, repositories and services, one folder a noun.

Usable by a CRM backend without the meeting server. It knows no HTTP; ``signaling.http``
serves its resource registry.
"""
