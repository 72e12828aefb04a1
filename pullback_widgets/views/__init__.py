"""The figures as live widgets: ``view`` and ``board`` are shared, then one file for each figure."""
