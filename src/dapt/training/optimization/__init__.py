"""What every training stands on, of whatever task: device and precision, optimizer, schedule, and when it has failed."""
