"""The Cover Art Archive, which redirects, and the archive that it redirects to."""

import re
from collections.abc import Mapping

from aiohttp import web

from tests.cover_services.answers import Answer, cover_answer, plain_answer
from tests.cover_services.catalogue import Catalogue

_FRONT = re.compile(r"/release-group/([^/?]*)/front-(250|500|1200)")
_ITEM = re.compile(r"/0/items/([^/?]+)/front-(250|500|1200)\.jpg")


class CoverArtArchive:
    """The Cover Art Archive.

    Args:
        catalogue: the albums.
        urls: the root URL of each service, known once all are started.
    """

    def __init__(self, catalogue: Catalogue, urls: Mapping[str, str]):
        self._catalogue, self._urls = catalogue, urls

    async def redirect(self, request: web.BaseRequest) -> Answer:
        """Answers /release-group/MBID/front-SIZE with the address of the picture."""
        match = _FRONT.fullmatch(request.raw_path)
        if match is None or request.method != "GET":
            return plain_answer(404, "Not Found\n")
        mbid, size = match.groups()
        if len(mbid) != 36 or not re.fullmatch(r"[0-9a-f-]+", mbid):
            return plain_answer(400, "invalid MBID specified\n")
        number = self._catalogue.find_album(mbid)
        if number is None or not self._catalogue.has_cover[number]:
            return plain_answer(404, "no cover image found\n")
        to = f"{self._urls['archive']}/0/items/{mbid}/front-{size}.jpg"
        return plain_answer(307, f"See: {to}", Location=to)

    async def picture(self, request: web.BaseRequest) -> Answer:
        """Answers /0/items/MBID/front-SIZE.jpg, in the archive, with the picture."""
        match = _ITEM.fullmatch(request.raw_path)
        if match is None:
            return plain_answer(404, "Not Found\n")
        return cover_answer(self._catalogue, self._catalogue.find_album(match[1]), int(match[2]))
