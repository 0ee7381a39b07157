"""How a person's programs use the portal: examples with its address, and what each field means."""

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from conversations import catalogue, openapi
from conversations.views import sidebar
from conversations.views.requests import SignedInRequest

ROOT = "/v1"
ANY_MODEL = "crimson-falcon-4"  # where none is set up yet

CURL = """curl {address}/chat/completions \\
  -H "Authorization: Bearer $CHATWEB_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{{
    "model": "{model}",
    "messages": [{{"role": "user", "content": "Hello!"}}]
  }}'"""

PYTHON = """import os
from openai import OpenAI

client = OpenAI(
    base_url="{address}",
    api_key=os.environ["CHATWEB_KEY"],
)
answer = client.chat.completions.create(
    model="{model}",
    messages=[{{"role": "user", "content": "Hello!"}}],
)
print(answer.choices[0].message.content)"""

STREAMING = """stream = client.chat.completions.create(
    model="{model}",
    messages=[{{"role": "user", "content": "Hello!"}}],
    stream=True,
)
for chunk in stream:
    print(chunk.choices[0].delta.content or "", end="", flush=True)"""

RATES = (
    "REQUESTS_PER_KEY",
    "REQUESTS_PER_PERSON",
    "TOKENS_PER_KEY",
    "TOKENS_PER_PERSON",
    "CALLS_PER_KEY",
    "CALLS_PER_PERSON",
)


@require_safe
@login_required
def connect(request: SignedInRequest) -> HttpResponse:
    models = catalogue.models()
    address = request.build_absolute_uri(ROOT)
    filled = {"address": address, "model": models[0].id if models else ANY_MODEL}
    context = {
        "address": address,
        "curl": CURL.format(**filled),
        "python": PYTHON.format(**filled),
        "streaming": STREAMING.format(**filled),
        "models": models,
        "document": f"{ROOT}/openapi.json",
        **sidebar.page(request.user),
    }
    return render(request, "programs/connect.html", context)


@require_safe
@login_required
def reference(request: SignedInRequest) -> HttpResponse:
    context = {
        "address": request.build_absolute_uri(ROOT),
        "parameters": openapi.rows(),
        "roles": ", ".join(openapi.ROLES),
        "ignored": ", ".join(openapi.IGNORED),
        "errors": openapi.ERRORS,
        "rates": {name: getattr(settings, name) for name in RATES},
        **sidebar.page(request.user),
    }
    return render(request, "programs/reference.html", context)
