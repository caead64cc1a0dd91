"""What hospital and coordinator agree on: the contract of DESIGN.md section 5.

Importing this package needs no torch, no flwr and no opacus, so that an auditor can install it alone.
"""

__version__ = "0.1.0"
