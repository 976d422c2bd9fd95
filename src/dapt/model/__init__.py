"""Checkpoints and tokenizers in and out, the masked-LM head and attention."""
