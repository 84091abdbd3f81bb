"""`python -m kiro2api`: the command line."""

from kiro2api.cli import main

if __name__ == "__main__":
    main()
