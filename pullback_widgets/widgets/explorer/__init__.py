"""The Explorer and its parts."""
