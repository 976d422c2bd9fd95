"""One file per stage of dvc.yaml. A stage reads its inputs, calls the other packages and writes its outputs.

Only the command line imports a stage.
"""
