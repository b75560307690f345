"""`python -m lersbench` is the command line."""

from lersbench.cli import main

main()
