"""The figures as live widgets."""
