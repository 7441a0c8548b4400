"""`python -m reference_impl` is `onsembl-reference`."""

from reference_impl.cli import main

main()
