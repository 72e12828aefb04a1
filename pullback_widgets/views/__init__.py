"""The figures as live widgets: ``view`` and ``board`` are what they share, then one file for each.
"""
