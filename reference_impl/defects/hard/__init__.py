"""Faults that need three steps or two actors at once, planted to see what generated sequences find by themselves.

No rule and no script was made for one of them. They are defects like the others, switched on in the same way;
`prove --generated` looks for them, `prove` does not.
"""
