"""What a masked-language-model training sees: tokens, windows, masks and batches."""
