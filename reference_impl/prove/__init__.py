"""The suite's own test: it must find every defect, and nothing in the clean reference.

The suite is known here by its command line and its JSON report alone, the server by its URL.
"""
