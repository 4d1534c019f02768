"""What runs inside a desktop image: from the manager's environment to a running desktop.

Only the standard library, and few modules of it: this code stands between a container's start and
the first frame.
"""
