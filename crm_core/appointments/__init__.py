"""Scheduling: services, appointments, attendees and the bookings that may not overlap."""
