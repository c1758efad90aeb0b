"""What the worker does for documents."""

from __future__ import annotations

from marketplace.documents import service
from marketplace.jobs import task


@task("documents.remove_abandoned", cron="43 * * * *")
def remove_abandoned() -> None:
    """Remove bytes of uploads that never became a document."""
    service.remove_abandoned()
