"""The aiohttp side of the one public port: REST, pages, health, metrics."""
