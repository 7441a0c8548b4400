"""What provocations are generated from: payloads from schemas."""
