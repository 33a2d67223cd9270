"""Between a request and a tab: who asks, how much at once, what is kept and logged."""
