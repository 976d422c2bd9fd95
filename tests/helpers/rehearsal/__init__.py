"""Stand-ins for all that the profile `full` downloads, in the layouts, row counts and quirks of the real files, made by varying
text from the packages of the profile `sample`. Nothing depends on the clock or the machine.

`PYTHONPATH=src:tests/helpers python -m rehearsal FOLDER` makes them and serves them from a hub on loopback.
"""
