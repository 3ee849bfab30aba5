"""Gets a cover in the best size that there is."""

from collections.abc import Awaitable, Callable, Sequence

from data_pipeline import store
from data_pipeline.answers import Answer, FetchError
from data_pipeline.http import Client

_GONE = (404, 410)


async def fetch_cover(
    client: Client, urls: Sequence[str], keep: Callable[[Answer], Awaitable[None]]
) -> None:
    """Gets the first of a cover's URLs that there is, and passes the response to `keep`.

    Args:
      client: the client.
      urls: the URLs of the cover, the best first; none if it is known that there is none.
      keep: stores the picture; raises `FetchError` if it is unusable.

    Raises:
      FetchError: "no_cover", or another reason to do without.
    """
    if not urls:
        raise FetchError("no_cover", retry=False)

    async def read(answer: Answer) -> None:
        if answer.status in _GONE:
            # The service itself knows whether there is a cover; a server behind it may just not
            # have the file.
            behind = len(answer.urls) > 1
            raise FetchError("file_not_found" if behind else "no_cover", retry=False)
        if answer.status >= 400:
            raise FetchError(f"http_{answer.status}", retry=False)
        await keep(answer)

    for url in urls:
        try:
            return await client.fetch(url, read, max_bytes=store.MAX_BYTES)
        except FetchError as error:
            if error.reason != "file_not_found":
                raise
    raise FetchError("file_not_found", retry=True)
