"""Which cosines are those of unrelated pairs, and what a cosine therefore means."""
