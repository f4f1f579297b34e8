"""Customers: households, companies, nonprofits and public bodies, and who belongs to them."""
