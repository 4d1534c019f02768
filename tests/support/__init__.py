"""What several tests need: pinned environments of tools that cannot share ours, and the emulator."""
