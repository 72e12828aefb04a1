"""The error of everything that is given as an image."""


class ImageError(ValueError):
    """Something that was given as an image and cannot be used as one."""
