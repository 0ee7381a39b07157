"""Which models exist, for whom, with which defaults and prices, and which servers answer for them.

    upstreams()             the servers in use, by name; from settings alone
    upstream(name)          one of them, or None
    models()                all that is offered, in order
    models_for(user)        what this person may use
    find(id)                one that is offered, whoever asks
    find_for(user, id)      one that this person may use, or None

Reading costs no query while what is known is younger than CATALOGUE_SECONDS, and one for people
where a model is for certain teams alone.
"""

from conversations.catalogue.offer import (
    Model,
    find,
    find_for,
    forget,
    learn,
    may_use,
    models,
    models_for,
    named,
    refresh,
)
from conversations.catalogue.servers import (
    asks_the_server,
    local_model_name,
    upstream,
    upstreams,
)

__all__ = [
    "Model",
    "asks_the_server",
    "find",
    "find_for",
    "forget",
    "learn",
    "local_model_name",
    "may_use",
    "models",
    "models_for",
    "named",
    "refresh",
    "upstream",
    "upstreams",
]
