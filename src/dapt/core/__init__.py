"""What every stage stands on: params.yaml, paths, whole files and hashes."""
