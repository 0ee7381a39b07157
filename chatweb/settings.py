"""All settings, each read from the environment by a typed reader, with its reason.

The defaults run the whole portal on one machine with no key and no other service.
"""

import re
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from chatweb import databases, env, layers, logs, upstreams

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(
    env.text("DATA_DIR", ".data", why="database, secret key and collected static files live here")
)
if not DATA_DIR.is_absolute():
    DATA_DIR = BASE_DIR / DATA_DIR
DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)

DEBUG = env.switch("DEBUG", False, why="Django's debug pages; never on a network")
SECRET_KEY = env.kept_secret(
    "SECRET_KEY",
    DATA_DIR / "secret-key",
    why="signs sessions; made and kept in DATA_DIR when not given",
)
SECRET_KEY_FALLBACKS = env.words(
    "SECRET_KEY_FALLBACKS",
    why="keys of before, separated by commas: sessions that they signed go on",
)
ALLOWED_HOSTS = env.words(
    "ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]", why="names under which browsers reach the portal"
)
if "*" in ALLOWED_HOSTS and not DEBUG:
    # Socket origins are judged by this list: a star would let every site's pages talk to us.
    raise ImproperlyConfigured("ALLOWED_HOSTS=* is refused without DEBUG.")
CSRF_TRUSTED_ORIGINS = env.origins(
    "TRUSTED_ORIGINS", why="full origins (https://chat.example) behind a proxy that ends TLS"
)
SECURE = env.switch(
    "SECURE", False, why="browsers come over TLS: strict cookies, HSTS, redirect to https"
)
BEHIND_PROXY = env.switch(
    "BEHIND_PROXY", False, why="trust X-Forwarded-Proto, set by a proxy that always overwrites it"
)

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "csp",
    "django_htmx",
    "template_partials.apps.SimpleAppConfig",
    "conversations",
]

MIDDLEWARE = [
    "conversations.middleware.Counted",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # Adds random bytes, so that a page's length tells nothing of its secrets (BREACH).
    "django.middleware.gzip.GZipMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "conversations.middleware.PrivateResponses",
    "conversations.views.refusals.Refusals",
]

ROOT_URLCONF = "chatweb.urls"
ASGI_APPLICATION = "chatweb.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "loaders": [
                (
                    "template_partials.loader.Loader",
                    [
                        (
                            "django.template.loaders.cached.Loader",
                            [
                                "django.template.loaders.filesystem.Loader",
                                "django.template.loaders.app_directories.Loader",
                            ],
                        )
                    ],
                )
            ],
            "builtins": ["template_partials.templatetags.partials"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "conversations.branding.context",
            ],
        },
    }
]

# --- Data ---------------------------------------------------------------------------------------

DATABASE_URL = env.text(
    "DATABASE_URL",
    why="sqlite:///path or postgres://user:password@host/name; empty is SQLite in DATA_DIR",
)
DATABASE_POOL = env.integer(
    "DATABASE_POOL", 20, low=2, high=500, why="PostgreSQL connections that a process may hold"
)
DATABASE_TIMEOUT = env.seconds(
    "DATABASE_TIMEOUT", 20, low=0.1, high=600, why="to wait for a lock or a connection, then say so"
)
DATABASES = {
    "default": databases.configured(
        DATABASE_URL or f"sqlite:///{DATA_DIR / 'chatweb.sqlite3'}",
        pool=DATABASE_POOL,
        timeout=DATABASE_TIMEOUT,
    )
}
CONN_MAX_AGE = 0
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {
    "default": {
        # All processes count sign-in attempts together, and a restart forgets none.
        "BACKEND": "conversations.throttling.Attempts",
        "LOCATION": "conversations_cache",
        # Many addresses must not be able to flush that history.
        "OPTIONS": {"MAX_ENTRIES": 20_000},
    }
}

# --- Between processes ---------------------------------------------------------------------------

REDIS_URLS = env.words(
    "REDIS_URL",
    why="redis://host:6379/0, needed as soon as there are several processes; more than one, "
    "separated by commas, share the load",
)
REDIS_TIMEOUT = env.seconds(
    "REDIS_TIMEOUT", 2, low=0.1, high=60, why="a frame that took longer is of no use"
)
EXCHANGE_OUTBOX = env.integer(
    "EXCHANGE_OUTBOX",
    4_096,
    low=64,
    high=1_000_000,
    why="events that wait; more are lost",
)
EXCHANGE_BEAT_SECONDS = env.seconds(
    "EXCHANGE_BEAT_SECONDS", 1, low=0.05, high=60, why="each process listens for itself in Redis"
)
EXCHANGE_SILENCE_SECONDS = env.seconds(
    "EXCHANGE_SILENCE_SECONDS", 5, low=0.2, high=300, why="unheard for so long it joins anew"
)
if EXCHANGE_BEAT_SECONDS * 2 > EXCHANGE_SILENCE_SECONDS:
    raise ImproperlyConfigured("EXCHANGE_SILENCE_SECONDS is less than two EXCHANGE_BEAT_SECONDS.")
CHANNEL_LAYERS = layers.configured(REDIS_URLS, timeout=REDIS_TIMEOUT)

# --- People -------------------------------------------------------------------------------------

AUTH_USER_MODEL = "conversations.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "new"
SIGNIN_LINK_HOURS = env.integer(
    "SIGNIN_LINK_HOURS", 48, low=1, high=720, why="an invitation outlives a weekend, not a leak"
)
FIRST_LINK_MINUTES = env.integer(
    "FIRST_LINK_MINUTES", 60, low=5, high=1440, why="the first link makes an administrator"
)
PEOPLE_FIND_EACH_OTHER = env.switch(
    "PEOPLE_FIND_EACH_OTHER",
    True,
    why="people invite each other by name; off: only by the whole mail address",
)
SHARE_LINKS = env.switch(
    "SHARE_LINKS",
    False,
    why="owners may share a conversation by a secret address that asks for no sign-in",
)

ACCOUNT_ADAPTER = "conversations.accounts.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"  # people come by invitation; there may be no mail server
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
SIGNINS_PER_ADDRESS = env.integer(
    "SIGNINS_PER_ADDRESS", 30, low=1, high=100_000, why="a minute; an office may share an address"
)
FAILED_SIGNINS_PER_ADDRESS = env.integer(
    "FAILED_SIGNINS_PER_ADDRESS", 10, low=1, high=100_000, why="wrong passwords a minute"
)
FAILED_SIGNINS_PER_PERSON = env.integer(
    "FAILED_SIGNINS_PER_PERSON", 5, low=1, high=1000, why="wrong passwords in five minutes"
)
ACCOUNT_RATE_LIMITS = {
    "login": f"{SIGNINS_PER_ADDRESS}/m/ip",
    "login_failed": f"{FAILED_SIGNINS_PER_ADDRESS}/m/ip,{FAILED_SIGNINS_PER_PERSON}/5m/key",
}
# Behind a proxy the address that counts is the last one of X-Forwarded-For.
ALLAUTH_TRUSTED_PROXY_COUNT = int(BEHIND_PROXY)
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_SESSION_REMEMBER = True
SESSION_ENGINE = "conversations.sessions"
SESSION_COOKIE_AGE = (
    env.integer("SESSION_DAYS", 14, low=1, high=365, why="how long a browser stays signed in")
    * 86_400
)
SESSION_COOKIE_HTTPONLY = True
# Never in a cookie of their own: a notice may name somebody.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
CSRF_COOKIE_HTTPONLY = True  # htmx takes the token from the page
CSRF_COOKIE_SAMESITE = "Lax"
if SECURE:
    SESSION_COOKIE_NAME = "__Host-session"
    CSRF_COOKIE_NAME = "__Host-csrf"
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "manifest-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

# --- Upstream -----------------------------------------------------------------------------------

UPSTREAM_BASE_URL = env.address(
    "UPSTREAM_BASE_URL", why="address of the model server up to /v1; empty uses the local model"
)
UPSTREAMS = env.words(
    "UPSTREAMS", "main", least=1, why="names of the model servers; `main` is the one above"
)
UPSTREAM_SERVERS = upstreams.configured(UPSTREAMS, main_url=UPSTREAM_BASE_URL)
UPSTREAM_API_KEY = env.key("UPSTREAM_API_KEY", why="sent as Bearer; never shown or logged")
UPSTREAM_MODELS = env.words(
    "UPSTREAM_MODELS",
    "crimson-falcon-4,indigo-owl-4,amber-phoenix-4",
    least=1,
    why="offered in this order; `auto` asks the server's /v1/models",
)
UPSTREAM_CONTINUES = env.switch(
    "UPSTREAM_CONTINUES", False, why="the server goes on from an assistant's beginning: Continue"
)
UPSTREAM_SENDS_FINISH_REASON = env.switch(
    "UPSTREAM_SENDS_FINISH_REASON", True, why="off accepts [DONE] alone as the end of an answer"
)
UPSTREAM_TRUST_ENV = env.switch(
    "UPSTREAM_TRUST_ENV", False, why="honour HTTP_PROXY and its kin; a proxy sees every prompt"
)
UPSTREAM_CONNECT_TIMEOUT = env.seconds(
    "UPSTREAM_CONNECT_TIMEOUT", 5, low=0.1, high=120, why="a healthy server accepts at once"
)
UPSTREAM_FIRST_TOKEN_TIMEOUT = env.seconds(
    "UPSTREAM_FIRST_TOKEN_TIMEOUT", 120, low=0.1, high=3600, why="long prompts take long to read"
)
UPSTREAM_IDLE_TIMEOUT = env.seconds(
    "UPSTREAM_IDLE_TIMEOUT", 60, low=0.1, high=3600, why="silence between tokens means it died"
)
UPSTREAM_AFTER_END_TIMEOUT = env.seconds(
    "UPSTREAM_AFTER_END_TIMEOUT",
    5,
    low=0.1,
    high=600,
    why="the counts of tokens come after the end",
)
UPSTREAM_ERROR_TIMEOUT = env.seconds(
    "UPSTREAM_ERROR_TIMEOUT", 5, low=0.1, high=600, why="for the reason of a refusal, to log it"
)
UPSTREAM_SLOT_TIMEOUT = env.seconds(
    "UPSTREAM_SLOT_TIMEOUT", 5, low=0.05, high=600, why="to get a connection when all are in use"
)
UPSTREAM_TOTAL_TIMEOUT = env.seconds(
    "UPSTREAM_TOTAL_TIMEOUT", 900, low=1, high=86400, why="an answer that never ends is cut"
)
UPSTREAM_RETRIES = env.integer(
    "UPSTREAM_RETRIES", 2, low=0, high=10, why="only before the first token"
)
UPSTREAM_RETRY_BUDGET = env.seconds(
    "UPSTREAM_RETRY_BUDGET", 30, low=0, high=600, why="nobody watches a countdown for longer"
)
UPSTREAM_KEEPALIVE = env.seconds(
    "UPSTREAM_KEEPALIVE", 4, low=0, high=600, why="below the 5 s after which servers hang up"
)
UPSTREAM_BODY_MAX_BYTES = env.integer(
    "UPSTREAM_BODY_MAX_BYTES", 67_108_864, low=65_536, high=2**30, why="one answer with its framing"
)
UPSTREAM_JSON_MAX_BYTES = env.integer(
    "UPSTREAM_JSON_MAX_BYTES",
    8_388_608,
    low=1_024,
    high=2**28,
    why="an answer or list in one piece",
)
UPSTREAM_ERROR_MAX_BYTES = env.integer(
    "UPSTREAM_ERROR_MAX_BYTES", 16_384, low=256, high=1_048_576, why="of a refusal, for the log"
)
UPSTREAM_MODELS_SECONDS = env.seconds(
    "UPSTREAM_MODELS_SECONDS", 30, low=0.1, high=86_400, why="how often `auto` asks for the models"
)
UPSTREAM_CA_FILE = env.file("UPSTREAM_CA_FILE", why="PEM file of a private authority to trust")
LOCAL_MODEL = env.text(
    "LOCAL_MODEL", "auto", why="`auto`: when no upstream is set; `off`; or a path to a GGUF file"
)
LOCAL_MODEL_CONTEXT = env.integer(
    "LOCAL_MODEL_CONTEXT", 2048, low=256, high=1_048_576, why="tokens the local model keeps in mind"
)
LOCAL_MODEL_THREADS = env.integer(
    "LOCAL_MODEL_THREADS", 0, low=0, high=256, why="0 leaves one core free for the portal"
)
LOCAL_MODEL_SLOTS = env.integer(
    "LOCAL_MODEL_SLOTS", 4, low=1, high=64, why="answers at a time; each slows the others down"
)
LOCAL_MODEL_ANSWER_TOKENS = env.integer(
    "LOCAL_MODEL_ANSWER_TOKENS",
    1024,
    low=1,
    high=1_048_576,
    why="of one answer; so small a model rambles",
)
LOCAL_MODEL_CACHE_MIB = env.integer(
    "LOCAL_MODEL_CACHE_MIB", 256, low=0, high=1_048_576, why="memory for conversations read before"
)
LOCAL_MODEL_RESTART_SECONDS = env.seconds(
    "LOCAL_MODEL_RESTART_SECONDS", 30, low=0.5, high=3600, why="the longest pause when it dies"
)
# Set by `start` for its own processes when it has started the local model.
LOCAL_MODEL_URL = ""

# --- Limits and the relay -------------------------------------------------------------------------

# Here, so that they stand in the README's table in this order; all names are Django's to read.
from chatweb.limits import *  # noqa: E402, F403

# --- Looks and language -------------------------------------------------------------------------

PORTAL_NAME = env.text("PORTAL_NAME", "Chatweb", why="shown in the sidebar, title and sign-in page")
PORTAL_ACCENT_HUE = env.integer(
    "PORTAL_ACCENT_HUE", 195, low=0, high=359, why="the accent's hue in OKLCH; 195 is a deep teal"
)
PORTAL_LOGO_URL = env.image("PORTAL_LOGO_URL", why="a path under /static/; a letter stands in")
PORTAL_SIGNIN_TEXT = env.text("PORTAL_SIGNIN_TEXT", why="a sentence for people who sign in")
PORTAL_TERMS_URL = env.address("PORTAL_TERMS_URL", why="linked under the sign-in form")
FIRST_PROMPTS = env.words(
    "FIRST_PROMPTS",
    "Explain how DNS works to a new colleague|"
    "Draft a polite reply that declines a meeting|"
    "List the steps to roll back a failed deployment",
    between="|",
    why="up to three prompts on the empty page, separated by |",
)[:3]
CURRENCY = env.text("CURRENCY", "USD", why="of the models' prices, as a code of three letters")
if not re.fullmatch("[A-Z]{3}", CURRENCY):
    raise ImproperlyConfigured(f"CURRENCY={CURRENCY!r} is no code of three capital letters.")
LANGUAGES = [("en", _("English"))]
LANGUAGE_CODE = env.choice(
    "LANGUAGE_CODE", "en", among=dict(LANGUAGES), why="language when the browser asks for no other"
)
LOCALE_PATHS = [BASE_DIR / "conversations" / "locale"]
USE_I18N = True
TIME_ZONE = env.time_zone("TIME_ZONE", "UTC", why="for dates rendered on the server")
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "conversations.statics.StaticFiles"},
}
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
WHITENOISE_ALLOW_ALL_ORIGINS = False  # no other site has a use for our files

LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", among=logs.LEVELS, why="DEBUG, INFO, WARNING or ERROR")
LOG_FORMAT = env.text("LOG_FORMAT", "line", why="`line` to read, `json` to collect and search")
LOGGING = logs.configured(LOG_LEVEL, LOG_FORMAT)

# --- Watching -------------------------------------------------------------------------------------

METRICS_TOKEN = env.text(
    "METRICS_TOKEN", why="whoever shows it as Bearer may read /metrics; empty: nobody"
)
if 0 < len(METRICS_TOKEN) < 16:
    raise ImproperlyConfigured("METRICS_TOKEN is shorter than 16 characters.")
METRICS_PORT = env.integer(
    "METRICS_PORT",
    0,
    low=0,
    high=65_000,
    why="on loopback, for /metrics and probes of this process alone; the next process takes the "
    "next port; 0 is off",
)
