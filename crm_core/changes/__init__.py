"""What leaves a transaction with it: the outbox of events and remembered answers."""
