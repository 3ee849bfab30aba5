"""The Cover Art Archive, which redirects, and the archive that it redirects to."""

import re
from collections.abc import Mapping

from aiohttp import web

from tests.cover_services.answers import Answer, cover_answer, plain_answer
from tests.cover_services.catalogue import Catalogue
from tests.cover_services.ids import make_mbid, number_of

_FRONT = re.compile(r"/release-group/([^/?]*)/front-(250|500|1200)")
_ITEM = re.compile(r"/download/mbid-([0-9a-f-]+)/mbid-\1-\d+_thumb(250|500|1200)\.jpg")


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
        release = make_mbid("release", number)
        item = f"mbid-{release}/mbid-{release}-{10**10 + number}_thumb{size}.jpg"
        to = f"{self._urls['archive']}/download/{item}"
        return plain_answer(307, f"See: {to}", Location=to)

    async def picture(self, request: web.BaseRequest) -> Answer:
        """Answers with a picture, in the archive; only larger originals have all sizes."""
        match = _ITEM.fullmatch(request.raw_path)
        if match is None:
            return plain_answer(404, "Not Found\n")
        number, size = number_of("release", match[1]), int(match[2])
        if number is not None and size > self._catalogue.largest_thumbnail(number):
            return plain_answer(404, "Not Found\n")
        return cover_answer(self._catalogue, number, size)
