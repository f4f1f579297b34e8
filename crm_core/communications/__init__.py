"""Conversations: calls, mails, messages and meetings, and the timeline that shows them."""
