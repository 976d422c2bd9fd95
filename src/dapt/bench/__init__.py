"""What the project's speed is measured with: `dapt bench NAME` times our way and the usual way in turns."""
