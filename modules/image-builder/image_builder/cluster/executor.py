"""The dispatcher that the settings describe."""

import asyncio
from collections.abc import Callable

from ..database.connection import Database
from ..jobs.executor import Executor
from ..jobs.job import Job
from ..service_settings import ServiceSettings
from ..shared.errors import ParameterError
from .api import ClusterApi, instance_of
from .dispatcher import Dispatcher
from .template import read_template


def cluster_executor(
    settings: ServiceSettings, database: Database, accepted: asyncio.Event, ended: Callable[[Job], None]
) -> Executor:
    """Builds on the cluster; the settings have been checked to name one.

    Raises:
        ParameterError: the template, or the files of the service's account, cannot be used.
    """
    place = settings.cluster
    template = read_template(place.template)
    unreadable = [name for name in ("token", "ca.crt") if not (place.credentials / name).is_file()]
    if unreadable:
        raise ParameterError(
            f"DCRX_KV_CLUSTER_CREDENTIALS: the folder {place.credentials} has no "
            f"{' and no '.join(unreadable)}; a pod has both when its service account's token is mounted"
        )

    def api() -> ClusterApi:
        return ClusterApi(
            place.host,
            place.port,
            place.credentials,
            place.namespace,
            instance_of(template),
            place.owner,
        )

    return Dispatcher(
        database,
        api,
        template,
        max_jobs=settings.cluster_max_jobs,
        max_attempts=settings.job_max_attempts,
        start_timeout=settings.cluster_start_timeout,
        timeout=settings.job_timeout,
        accepted=accepted,
        ended=ended,
    )
