"""What can go wrong between an image and its embedding, each also rooted in the fitting builtin."""


class ExtractorError(Exception):
    """Anything that `extractors` raises on purpose; the message says what, where, found, expected and the next step."""


class ImageSetError(ExtractorError, ValueError):
    """An image set cannot be listed: it is missing, empty, or its manifest is wrong."""


class UnreadableImage(ExtractorError, ValueError):  # noqa: N818 - an image is unreadable; the engine turns this into a quarantine entry
    """One image cannot be decoded; the message is the reason that stands in the quarantine."""


class NotAllowedError(ExtractorError, PermissionError):
    """A place lies outside the folders and URL prefixes to which this process is held."""


class NotReadError(ExtractorError, OSError):
    """An image could not be read this time; nothing is known against its content."""


class BackboneError(ExtractorError, LookupError):
    """A backbone, tap or pooling is unknown or cannot be built."""


class WeightsError(ExtractorError, ValueError):
    """Weights are missing, cannot be fetched, or belong to another architecture."""


class FeatureError(ExtractorError, ArithmeticError):
    """A backbone gave features that cannot be used (not finite, or too large for the stored dtype)."""


class CacheError(ExtractorError, OSError):
    """The cache cannot be read or written: another format, damage, permissions, a full disk."""
