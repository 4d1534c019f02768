"""A stand-in for CodeBuild's local agent.

`seedfarmer apply --local` calls `docker run … public.ecr.aws/codebuild/local-builds:latest`, a container
that starts another container in which the module's buildspec runs. In such a container 127.0.0.1 is not
this machine's, so the emulator on loopback could not be reached; and the image cannot be had without
internet access. This package does for that one call what the agent does: it loads the environment file
and runs the buildspec's phases in order, in one bash, and stops at the first command that fails.

Each build has a home of its own and a private mount namespace (`/var` is writable there without touching
the machine's), so parallel modules and the user's own files are safe.
"""
