"""Every page and form, flat."""

from django.urls import path

from conversations.views import (
    accounts,
    alternatives,
    conversations,
    details,
    forks,
    generations,
    invitelinks,
    keys,
    labels,
    mentions,
    messages,
    offers,
    participants,
    people,
    portal,
    programs,
    queue,
    scopes,
    shared,
    shares,
    usage,
)

urlpatterns = [
    # /
    path("", conversations.new, name="new"),
    path("brand.css", portal.brand, name="brand"),
    # /conversations/
    path("conversations/", conversations.collection, name="conversations"),
    # /c/<conversation>/
    path("c/<slug:conversation>/", conversations.thread, name="thread"),
    path("c/<slug:conversation>/messages/", messages.collection, name="messages"),
    path("c/<slug:conversation>/composer/", messages.composer, name="composer"),
    path("c/<slug:conversation>/scope/", scopes.collection, name="scope"),
    path("c/<slug:conversation>/queue/next/", queue.send_next, name="queue_next"),
    path("c/<slug:conversation>/title/", conversations.title, name="title"),
    path("c/<slug:conversation>/settings/", conversations.settings, name="settings"),
    path("c/<slug:conversation>/deletion/", conversations.deletion, name="deletion"),
    path("c/<slug:conversation>/forks/", forks.collection, name="forks"),
    path("c/<slug:conversation>/origin/", offers.origin, name="origin"),
    path("c/<slug:conversation>/offers/", offers.collection, name="offers"),
    path("c/<slug:conversation>/callees/", mentions.candidates, name="callees"),
    path("c/<slug:conversation>/mute/", conversations.mute, name="mute"),
    path("c/<slug:conversation>/labels/", labels.collection, name="labels"),
    path("c/<slug:conversation>/labels/<slug:label>/", labels.label, name="label"),
    path("c/<slug:conversation>/labels/<slug:label>/mark/", labels.mark, name="label_mark"),
    path("c/<slug:conversation>/details/", details.details, name="details"),
    path("c/<slug:conversation>/history/", details.history, name="history"),
    path("c/<slug:conversation>/candidates/", participants.candidates, name="candidates"),
    path("c/<slug:conversation>/participants/", participants.collection, name="participants"),
    path(
        "c/<slug:conversation>/participants/<slug:person>/",
        participants.participant,
        name="participant",
    ),
    path("c/<slug:conversation>/participants/<slug:person>/role/", participants.role, name="role"),
    path(
        "c/<slug:conversation>/participants/<slug:person>/ownership/",
        participants.ownership,
        name="ownership",
    ),
    path("c/<slug:conversation>/departure/", participants.departure, name="departure"),
    path("c/<slug:conversation>/invite-links/", invitelinks.collection, name="invite_links"),
    path(
        "c/<slug:conversation>/invite-links/<slug:link>/",
        invitelinks.invite_link,
        name="invite_link",
    ),
    path("c/<slug:conversation>/shares/", shares.collection, name="shares"),
    path("c/<slug:conversation>/shares/<slug:share>/", shares.share, name="share"),
    # /shared/<share>/: for anyone who is signed in
    path("shared/<slug:share>/", shared.shared, name="shared"),
    # /m/<message>/
    path("m/<slug:message>/alternatives/", alternatives.create, name="alternatives"),
    path("m/<slug:message>/continuations/", alternatives.go_on, name="continuations"),
    path("m/<slug:message>/head/", alternatives.choose, name="head"),
    path("m/<slug:message>/vote/", alternatives.vote, name="vote"),
    path("m/<slug:message>/rewording/", messages.rewording, name="rewording"),
    path("m/<slug:message>/scope/", scopes.from_here, name="message_scope"),
    path("m/<slug:message>/branch/", messages.branch, name="branch"),
    path("m/<slug:message>/text/", messages.text, name="text"),
    path("m/<slug:message>/forks/", forks.of_message, name="message_forks"),
    path("m/<slug:message>/request/", generations.copied, name="copied_request"),
    # /o/<offer>/: a branch that is offered
    path("o/<slug:offer>/", offers.offer, name="offer"),
    path("o/<slug:offer>/taking/", offers.taking, name="offer_taking"),
    path("o/<slug:offer>/decline/", offers.decline, name="offer_decline"),
    path("o/<slug:offer>/withdrawal/", offers.withdrawal, name="offer_withdrawal"),
    # /q/<turn>/: a turn that waits
    path("q/<slug:turn>/", queue.turn, name="queued_turn"),
    path("q/<slug:turn>/place/", queue.move, name="queued_place"),
    path("q/<slug:turn>/now/", queue.send_now, name="queued_now"),
    # /g/<generation>/
    path("g/<slug:generation>/request/", generations.asked, name="request"),
    path("g/<slug:generation>/stop/", generations.stop, name="stop"),
    # /link/<token>/: a one-time link; GET shows a button, POST uses it up
    path("link/<str:token>/", accounts.link, name="link"),
    # /link/join/<token>/: an invite link; under /link/, of which no log keeps the rest
    path("link/join/<str:token>/", invitelinks.join, name="join"),
    # /link/share/<token>/: for whoever has the address
    path("link/share/<str:token>/", shared.by_link, name="shared_link"),
    # /account/, /people/
    path("account/", accounts.account, name="account"),
    path("account/keys/", keys.collection, name="keys"),
    path("account/keys/<slug:key>/revocation/", keys.revocation, name="revocation"),
    path("account/shares/", shares.own, name="own_shares"),
    path("account/shares/<slug:share>/revocation/", shares.revocation, name="share_revocation"),
    # /programs/: how to use /v1/, which is answered in front of these (gateway/)
    path("programs/", programs.connect, name="programs"),
    path("programs/reference/", programs.reference, name="reference"),
    path("people/", people.collection, name="people"),
    path("people/<slug:person>/links/", people.links, name="links"),
    path("people/<slug:person>/suspension/", people.suspension, name="suspension"),
    path("people/<slug:person>/reactivation/", people.reactivation, name="reactivation"),
    # /usage/: numbers alone; everybody's, and one's own
    path("usage/", usage.everybody, name="usage"),
    path("usage/table.csv", usage.table, name="usage_table"),
    path("usage/mine/", usage.mine, name="my_usage"),
    path("usage/mine/table.csv", usage.my_table, name="my_usage_table"),
]
