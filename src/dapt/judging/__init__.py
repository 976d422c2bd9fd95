"""Masked-LM loss, loss per word, pseudo-perplexity, and the statistics of their differences."""
