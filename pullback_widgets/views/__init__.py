"""The figures as live widgets: one file for each; ``view``, ``board``, ``turn`` are shared."""
