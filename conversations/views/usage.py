"""What was used: by oneself, and for operators by everybody. Numbers alone."""

import csv
from collections.abc import Callable
from datetime import date
from functools import wraps
from typing import Any

from django.conf import settings as limits
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from conversations import amounts, charts, ledger, usage
from conversations.actions import people
from conversations.forms_usage import GROUPS, OF_ONESELF, UsageForm
from conversations.models import User
from conversations.views import sidebar
from conversations.views.requests import SignedInRequest

CSV_ROWS = 100_000
# What a spreadsheet takes for the beginning of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
View = Callable[[SignedInRequest], HttpResponse]


def controllers_only(view: View) -> View:
    """Operators, and whoever was given the right to see the numbers."""

    @wraps(view)
    def guarded(request: SignedInRequest) -> HttpResponse:
        may_see = request.user.has_perm("conversations.view_usagerecord")
        if not (may_see or people.is_operator(request.user)):
            raise Http404
        return view(request)

    return login_required(guarded)


@require_safe
@login_required
def mine(request: SignedInRequest) -> HttpResponse:
    form = UsageForm(request.GET, groups=OF_ONESELF)
    context = {"meters": ledger.meters(request.user), "is_own": True}
    return _page(request, form, of=request.user, **context)


@require_safe
@login_required
def my_table(request: SignedInRequest) -> HttpResponse:
    return _csv(UsageForm(request.GET, groups=OF_ONESELF), of=request.user)


@require_safe
@controllers_only
def everybody(request: SignedInRequest) -> HttpResponse:
    return _page(request, UsageForm(request.GET), of=None)


@require_safe
@controllers_only
def table(request: SignedInRequest) -> HttpResponse:
    return _csv(UsageForm(request.GET), of=None)


def _page(
    request: SignedInRequest, form: UsageForm, *, of: User | None, **context: Any
) -> HttpResponse:
    context |= {"form": form, **sidebar.page(request.user)}
    if not form.is_valid():
        return render(request, "usage/report.html", context, status=422)
    since, until, by = (form.cleaned_data[name] for name in ("since", "until", "by"))
    found = usage.records(since, until, of=of)
    days = usage.table(found, "day", most=limits.USAGE_DAYS)
    rows = days if by == "day" else usage.table(found, by, most=limits.USAGE_ROWS)
    tokens = usage.every_day(days, since, until)
    context |= {
        "total": usage.total(found),
        "by": by,
        "group": GROUPS[by],
        "lines": rows,
        "most": max((row.tokens for row in rows), default=0),
        "chart": charts.bars([(day, values) for day, *values in tokens]),
        "query": f"since={since}&until={until}&by={by}",
        "is_cut": by != "day" and len(rows) == limits.USAGE_ROWS,
    }
    return render(request, "usage/report.html", context)


def _csv(form: UsageForm, *, of: User | None) -> HttpResponse:
    if not form.is_valid():
        return HttpResponse(
            _("These are no days to report on."), status=422, content_type="text/plain"
        )
    since, until, by = (form.cleaned_data[name] for name in ("since", "until", "by"))
    rows = usage.table(usage.records(since, until, of=of), by, most=CSV_ROWS)
    response = HttpResponse(
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="usage-{by}-{since}-{until}.csv"'},
    )
    # Quoted: where a spreadsheet splits at semicolons, a part of a name could begin a formula.
    sheet = csv.writer(response, quoting=csv.QUOTE_ALL)
    sheet.writerow(
        [
            by,
            "calls",
            "tokens in",
            "tokens out",
            limits.CURRENCY,
            "errors",
            "estimated",
            "first token p50 ms",
            "first token p95 ms",
            "duration p50 ms",
            "duration p95 ms",
        ]
    )
    for row in rows:
        latencies = (
            row.first_token.half,
            row.first_token.most,
            row.duration.half,
            row.duration.most,
        )
        sheet.writerow(
            [
                cell(row.name),
                row.calls,
                row.tokens_in,
                row.tokens_out,
                amounts.exact(row.nanos),
                row.errors,
                row.estimated,
                *("" if one is None else one for one in latencies),
            ]
        )
    return response


def cell(name: str | date) -> str:
    """A name that a spreadsheet shows and never calculates."""
    text = str(name)
    return f"'{text}" if text.startswith(FORMULA) else text
