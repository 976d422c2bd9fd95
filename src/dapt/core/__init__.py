"""What every stage stands on: settings, paths, whole files and hashes."""
