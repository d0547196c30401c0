"""preceptor: small biomedical image networks that learn from big ones and from each other."""

__version__ = "0.1.0"
