"""`python -m streamae` is the command line."""

from streamae.cli import main

main()
