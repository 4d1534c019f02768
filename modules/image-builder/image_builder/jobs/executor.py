"""Where jobs are built: in this process, or somewhere that it looks after."""

import uuid
from typing import Protocol


class Executor(Protocol):
    """Takes jobs from the database and sees to it that each comes to an end."""

    async def run(self) -> None:
        """Work until cancelled."""

    def cancel(self, job_id: uuid.UUID) -> None:
        """A job's end was asked for, which the database knows already: do it soon."""
