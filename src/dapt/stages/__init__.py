"""One file per stage of dvc.yaml. A stage reads its inputs, calls the rooms and writes its outputs; only the command line imports it."""
