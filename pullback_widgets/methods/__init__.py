"""Pullbacks by captum's convention, and captum's methods on our targets."""
