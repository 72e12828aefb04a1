"""Widgets for teaching, and the functions behind them: small networks that train while one looks.

``gates`` and ``playground``: hard and soft gates.  ``toy``, ``regions`` and ``region_map``: a
network of two inputs and its linear regions.  ``data``, ``training``, ``recorder``,
``fit``, ``paths``, ``stability`` and ``stability_lab``: how stable activation patterns are over
training.  ``weights``, ``interval`` and ``kinds``, what a choice may be, are
shared.
"""
