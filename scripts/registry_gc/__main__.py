"""`python -m registry_gc`: the same as the command `registry-gc`."""

from registry_gc.cli import main

if __name__ == "__main__":
    main()
