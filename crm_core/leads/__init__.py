"""Interest before a sale: leads, their campaigns, and pipelines with their stages and history."""
