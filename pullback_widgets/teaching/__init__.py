"""Widgets for teaching, and the functions behind them: small networks that train while one looks.

``gates``, ``regions`` and ``paths`` (computed by ``stability``), each with its ``_widget``: hard
and soft gates, the linear regions of a network of two inputs (``toy``), and how stable activation
patterns are over a training (``data``, ``training``, ``recorder``, ``fit``). ``weights``,
``interval`` and ``kinds``, what a choice may be, are shared.
"""
