"""What every stage uses: settings, paths, atomic writes and hashes."""
