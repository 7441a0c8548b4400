"""Sequences: scripts of many actors, drawn from the contract's machines and causes, played, judged, shrunk and kept."""
