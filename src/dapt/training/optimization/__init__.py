"""What pre-training and fine-tuning share: device and precision, optimizer, schedule, detection of divergence."""
