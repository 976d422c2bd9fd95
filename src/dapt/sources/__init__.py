"""Where raw files come from: the hub, a package or a local folder, each pinned."""
