"""Serves models: packed batches, an HTTP API, a web page, and the same operations for the shell."""
