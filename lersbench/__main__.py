"""`python -m lersbench` is the command line."""

from lersbench.cli.main import main

main()
