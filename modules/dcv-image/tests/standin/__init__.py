"""A stand-in for Amazon DCV: its programs, and archives of them in the vendor's shape."""
