"""Speed measurements: `dapt bench NAME` times dapt and a common alternative in turns."""
