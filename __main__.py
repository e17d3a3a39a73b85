"""`python -m densezip` is the command `densezip`."""

from .cli.main import main

if __name__ == "__main__":
    main()
