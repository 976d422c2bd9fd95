"""The input of masked-language-model training: tokens, windows, masks and batches."""
