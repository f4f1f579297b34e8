"""People: every human the tenant deals with, once, whatever their roles."""
