"""The ASGI application: pages over HTTP, and one socket."""

import os
import warnings

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatweb.settings")
# WhiteNoise answers with open files; Django reads them whole, which is right for small ones.
warnings.filterwarnings("ignore", "StreamingHttpResponse must consume synchronous iterators")
pages = get_asgi_application()

# Only now: these import models, which exist once Django is set up.
from conversations.origins import SameOrigin  # noqa: E402
from conversations.routing import websocket_urlpatterns  # noqa: E402

from channels.sessions import CookieMiddleware  # noqa: E402  isort: skip

application = ProtocolTypeRouter(
    {
        "http": pages,
        "websocket": SameOrigin(CookieMiddleware(URLRouter(websocket_urlpatterns))),
    }
)
