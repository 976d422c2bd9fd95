"""Loading and saving checkpoints and tokenizers; the masked-LM head and attention."""
