"""Models that answer people and programs: packed batches, an API over HTTP, a page, and the same from the shell."""
