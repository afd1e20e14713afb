"""Caches that tests of kept fits begin with."""

from support.copied_caches import embedded, made_caches  # noqa: F401 - fixtures
