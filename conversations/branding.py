"""What makes the portal the company's own: name, accent, texts, from settings."""

from django.conf import settings
from django.http import HttpRequest


def context(_request: HttpRequest) -> dict[str, object]:
    """For every template."""
    return {
        "portal_name": settings.PORTAL_NAME,
        "portal_logo": settings.PORTAL_LOGO_URL,
        "portal_signin_text": settings.PORTAL_SIGNIN_TEXT,
        "portal_terms_url": settings.PORTAL_TERMS_URL,
    }


def stylesheet() -> str:
    """The accent as a stylesheet of its own: the page's policy allows no inline style."""
    return f":root {{ --accent-h: {settings.PORTAL_ACCENT_HUE}; }}\n"
