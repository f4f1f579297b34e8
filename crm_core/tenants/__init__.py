"""Who uses Sunup: tenants, the staff who work there, the users who sign in, API keys, roles."""
