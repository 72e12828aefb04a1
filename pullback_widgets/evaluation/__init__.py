"""Whether a picture is true of a network: metrics of explanations, with intervals.

The folder is not called ``evaluate``: importing it would put a module in the place of the function.
"""
