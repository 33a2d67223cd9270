"""What tabs share."""
