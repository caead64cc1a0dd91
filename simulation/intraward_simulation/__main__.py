"""``python -m intraward_simulation``: the same as ``intraward-simulate``, by the Python that runs."""

from intraward_simulation.cli import main

if __name__ == "__main__":
    main()
