"""Domain-adaptive pre-training of BERT-like encoders, versioned with DVC."""
