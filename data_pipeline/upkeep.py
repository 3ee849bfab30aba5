"""Looks after what a collection has: files that are gone, removal, failures to try again."""

from collections.abc import Sequence

from dac.errors import UserError
from data_pipeline import store
from data_pipeline.albums import Failure
from data_pipeline.catalog import Catalog
from data_pipeline.progress import Progress

_SHOW_EVERY = 10_000  # files


def check_files(catalog: Catalog, progress: Progress) -> None:
    """Leaves out covers whose files are missing or have changed; finishes removals.

    A killed process leaves no such files, but a power cut or a user may.
    """
    removed = catalog.db.execute("SELECT key FROM albums WHERE state = 'removed'")
    store.delete(catalog.folder, (key for (key,) in removed))
    lost = []
    stored = catalog.db.execute("SELECT id, file_name, bytes FROM albums WHERE state = 'done'")
    for count, (album, name, size) in enumerate(stored, start=1):
        if store.size_of(catalog.folder / name) != size:
            lost.append(album)
        if count % _SHOW_EVERY == 0:
            progress.show(f"checking files: {count:,}")
    if lost:
        lose(catalog, lost)
        progress.say(
            f"{len(lost):,} covers are left out: their files are missing or have changed size; "
            "--retry_failed=lost fetches them again"
        )


def lose(catalog: Catalog, albums: Sequence[int]) -> None:
    """Marks covers whose files are gone: they are not fetched again unless asked for."""
    with catalog.db:
        for album in albums:
            catalog.fail("albums", album, Failure("lost", False))


def remove(catalog: Catalog, keys: Sequence[str]) -> int:
    """Deletes the covers of albums for good; returns how many were stored.

    The row of an album stays, also of one that is not known yet, so that it never comes back.
    """
    stored = 0
    with catalog.db as db:
        for key in keys:
            known = db.execute("SELECT state FROM albums WHERE key = ?", (key,)).fetchone()
            stored += known == ("done",)
            db.execute(
                "INSERT INTO albums (key, state) VALUES (?, 'removed') ON CONFLICT DO UPDATE "
                "SET state = 'removed', reason = NULL, retry_at = NULL, chosen = 0",
                (key,),
            )
    store.delete(catalog.folder, keys)
    return stored


def retry_failed(catalog: Catalog, reason: str | None) -> None:
    """Puts back failed jobs with one reason, or all that may be had after all.

    Without a reason, covers that do not exist and files that were deleted are left alone.

    Raises:
      UserError: no failed job has that reason.
    """
    failed = "SELECT reason FROM {} WHERE state = 'failed'"
    query = f"{failed.format('lists')} UNION {failed.format('albums')}"
    reasons = sorted(found for (found,) in catalog.db.execute(query))
    if reason is not None and reason not in reasons:
        known = ", ".join(reasons) or "none"
        raise UserError(
            f"--retry_failed={reason}: nothing failed for this reason; known reasons: {known}"
        )
    with catalog.db as db:
        for table in ("lists", "albums"):
            db.execute(
                f"UPDATE {table} SET state = 'waiting', reason = NULL, retry_at = NULL, tries = 0 "
                "WHERE state = 'failed' "
                "AND iif(?1 IS NULL, reason NOT IN ('no_cover', 'lost'), reason = ?1)",
                (reason,),
            )
