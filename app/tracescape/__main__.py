"""``python -m tracescape``: the command, where no script is installed."""

from tracescape.cli import main

if __name__ == "__main__":
    main()
