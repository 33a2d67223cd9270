"""What families share: weights from files, tokens, layers, batches; no family's own quirks."""
