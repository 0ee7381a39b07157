"""The ASGI application: pages over HTTP, probes and programs in front of them, and one socket."""

import os
import warnings

import django
from asgiref.sync import sync_to_async
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.sessions import CookieMiddleware
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from chatweb.turns import Turns


class Pages(ASGIHandler):
    """Our middleware and views are synchronous, and so is the chain of them: Django's own would go
    back to the loop between the two and once more into the thread for each view."""

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: ARG002  Django passes it
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        return await sync_to_async(self.get_response, thread_sensitive=True)(request)


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatweb.settings")
# WhiteNoise answers with open files; Django reads them whole, which is right for small ones.
warnings.filterwarnings("ignore", "StreamingHttpResponse must consume synchronous iterators")
django.setup(set_prefix=False)
pages = Turns(Pages())

# Only now: these import models, which exist once Django is set up.
from conversations.gateway import Gateway  # noqa: E402
from conversations.origins import SameOrigin  # noqa: E402
from conversations.probes import Probes  # noqa: E402
from conversations.requestids import RequestIds  # noqa: E402
from conversations.routing import websocket_urlpatterns  # noqa: E402

application = RequestIds(
    ProtocolTypeRouter(
        {
            "http": Probes(Gateway(pages)),
            "websocket": SameOrigin(CookieMiddleware(URLRouter(websocket_urlpatterns))),
        }
    )
)
