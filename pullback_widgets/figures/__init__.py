"""The paper's figures and more, as functions: tensors and a matplotlib figure from one call.

``result`` says what every figure can do; ``grid``, ``strip``, ``journey``, ``atlas`` and
``comparison`` are one figure each. Nothing here imports Jupyter.
"""
