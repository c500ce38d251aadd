"""``python -m lipcore``: the command line."""

from lipcore.cli.main import main

if __name__ == "__main__":
    main()
