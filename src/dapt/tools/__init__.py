"""Commands of `dapt` that are not stages."""
