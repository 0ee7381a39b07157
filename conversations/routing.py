"""The one socket."""

from django.urls import path

from conversations.consumers import PageConsumer

websocket_urlpatterns = [
    path("ws/", PageConsumer.as_asgi()),
]
