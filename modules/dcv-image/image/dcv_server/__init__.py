"""What runs inside the DCV image. Standard library only, for Python 3.8 and newer."""
