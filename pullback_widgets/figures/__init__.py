"""The paper's figures and more, as functions: tensors and a matplotlib figure from one call.

``declared`` and ``kinds`` say what a figure is asked for, ``result`` what every figure can do,
``recipe`` how it opens again; ``grid``, ``strip``, ``journey``, ``atlas``, ``comparison`` and
``snapshot``, what the Explorer shows, are one figure each. Nothing here imports Jupyter.
"""
