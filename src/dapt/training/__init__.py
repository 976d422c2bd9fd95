"""The training loop, optimizer and schedule, device and precision, resume state."""
