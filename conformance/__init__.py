"""Says, with proof, whether a backend keeps the Onsembl.ai contract."""

__version__ = "0.1.0"
