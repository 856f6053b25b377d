"""The sources: a sidecar's socket, a Redis, a recording. Each module imports what only it needs."""
