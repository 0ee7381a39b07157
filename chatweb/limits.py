"""How much, how long, how often: the settings that bound things. A part of `chatweb.settings`."""

from chatweb import env

# --- Limits -------------------------------------------------------------------------------------

MESSAGE_MAX_CHARS = env.integer(
    "MESSAGE_MAX_CHARS", 100_000, low=100, high=1_000_000, why="longer is a file, not a message"
)
SYSTEM_PROMPT_MAX_CHARS = env.integer(
    "SYSTEM_PROMPT_MAX_CHARS", 20_000, low=100, high=1_000_000, why="it is sent with every turn"
)
STOP_MAX_CHARS = env.integer(
    "STOP_MAX_CHARS", 1_000, low=10, high=100_000, why="all stop sequences, kept with each answer"
)
PROMPT_MAX_CHARS = env.integer(
    "PROMPT_MAX_CHARS", 4_000_000, low=1_000, high=100_000_000, why="more than any model reads"
)
TITLE_MAX_CHARS = 120  # as wide as its column
ANSWER_MAX_BYTES = env.integer(
    "ANSWER_MAX_BYTES", 2_000_000, low=1_000, high=50_000_000, why="a runaway answer is cut here"
)
EVENT_MAX_BYTES = env.integer(
    "EVENT_MAX_BYTES", 1_048_576, low=1_024, high=16_777_216, why="one upstream event in memory"
)
MARKDOWN_MAX_CHARS = env.integer(
    "MARKDOWN_MAX_CHARS", 200_000, low=1_000, high=2_000_000, why="longer is shown as it was typed"
)
GENERATIONS_PER_USER = env.integer(
    "GENERATIONS_PER_USER", 6, low=1, high=1000, why="one person cannot take every place"
)
DRAFTS_PER_TURN = env.integer(
    "DRAFTS_PER_TURN", 4, low=1, high=16, why="answers to one question at once; each costs its own"
)
GENERATIONS_PER_PROCESS = env.integer(
    "GENERATIONS_PER_PROCESS", 200, low=1, high=10_000, why="answers written at once; others wait"
)
QUEUE_PER_CONVERSATION = env.integer(
    "QUEUE_PER_CONVERSATION", 20, low=1, high=100, why="turns that wait; every page shows them all"
)
QUEUE_PER_PERSON = env.integer(
    "QUEUE_PER_PERSON", 8, low=1, high=100, why="of one person in one queue: others get in too"
)
QUEUE_RETRY_SECONDS = env.seconds(
    "QUEUE_RETRY_SECONDS", 2, low=0, high=3600, why="until a turn that was held is tried again"
)
SCOPE_MESSAGES = env.integer(
    "SCOPE_MESSAGES",
    200,
    low=1,
    high=250,
    why="chosen one by one; an address has to hold them",
)
NOTES_PER_MESSAGE = env.integer(
    "NOTES_PER_MESSAGE", 100, low=1, high=10_000, why="under one message; a page shows them all"
)
FORK_MESSAGES = env.integer(
    "FORK_MESSAGES", 1_000, low=1, high=100_000, why="copied at once, while others wait"
)
FORKS_PER_PERSON = env.integer(
    "FORKS_PER_PERSON", 30, low=1, high=10_000, why="an hour; each is a copy of all that was said"
)
OFFERS_PER_CONVERSATION = env.integer(
    "OFFERS_PER_CONVERSATION", 10, low=1, high=1000, why="open at a time; every page shows them all"
)
OFFER_MAX_CHARS = env.integer(
    "OFFER_MAX_CHARS", 1_000, low=1, high=100_000, why="what is said about a branch that is offered"
)
REQUEST_SHOWN_CHARS = env.integer(
    "REQUEST_SHOWN_CHARS",
    200_000,
    low=1_000,
    high=10_000_000,
    why="of what a model saw, in the page; more is cut off",
)
SOCKETS_PER_USER = env.integer(
    "SOCKETS_PER_USER", 20, low=1, high=10_000, why="tabs a person may have open, for each process"
)
SOCKET_MESSAGE_MAX_BYTES = env.integer(
    "SOCKET_MESSAGE_MAX_BYTES", 65_536, low=1_024, high=1_048_576, why="what a page may send us"
)
SOCKET_UNREAD_MESSAGES = env.integer(
    "SOCKET_UNREAD_MESSAGES", 128, low=8, high=100_000, why="a page that floods us is closed"
)
SOCKET_UNSENT_MAX_BYTES = env.integer(
    "SOCKET_UNSENT_MAX_BYTES",
    8_388_608,  # far beyond what a mailbox lets through to whoever acknowledges honestly
    low=262_144,
    high=1_073_741_824,
    why="waiting for a page that reads nothing; more cuts it off",
)
SOCKET_PAUSE_SECONDS = env.seconds(
    "SOCKET_PAUSE_SECONDS", 0.1, low=0, high=10, why="between two questions of one page"
)
SOCKET_HANDSHAKE_TIMEOUT = env.seconds(
    "SOCKET_HANDSHAKE_TIMEOUT", 20, low=1, high=600, why="after a restart everybody comes at once"
)
REFUSAL_SECONDS = env.seconds(
    "REFUSAL_SECONDS", 2, low=0, high=60, why="whoever sends too much may read why it was refused"
)
RESTART_SECONDS = env.seconds(
    "RESTART_SECONDS", 1, low=0, high=60, why="before a job that ended, as the relay, starts again"
)
PAGES_AT_ONCE = env.integer(
    "PAGES_AT_ONCE", 12, low=1, high=500, why="threads and connections that they take; more wait"
)
PAGE_TIMEOUT = env.seconds(
    "PAGE_TIMEOUT", 120, low=1, high=3600, why="no page takes this long; whoever waits hears of it"
)
GOODBYE_SECONDS = env.seconds(
    "GOODBYE_SECONDS", 3, low=0, high=300, why="at the end: to close sockets and keep answers"
)
MAILBOX_FRAMES = env.integer(
    "MAILBOX_FRAMES", 64, low=4, high=10_000, why="unacknowledged frames before a viewer is behind"
)
MAILBOX_CHARACTERS = env.integer(
    "MAILBOX_CHARACTERS", 262_144, low=16_384, high=67_108_864, why="the same, in characters"
)
MAILBOX_PATIENCE = env.seconds(
    "MAILBOX_PATIENCE", 30, low=0.2, high=600, why="a viewer behind for longer is closed with 4408"
)
REQUESTS_PER_KEY = env.integer(
    "REQUESTS_PER_KEY", 600, low=1, high=10_000_000, why="a minute; a program that runs wild"
)
REQUESTS_PER_PERSON = env.integer(
    "REQUESTS_PER_PERSON", 1_200, low=1, high=10_000_000, why="a minute, by all keys of theirs"
)
TOKENS_PER_KEY = env.integer(
    "TOKENS_PER_KEY", 1_000_000, low=1, high=10**10, why="a minute, asked and answered"
)
TOKENS_PER_PERSON = env.integer(
    "TOKENS_PER_PERSON", 2_000_000, low=1, high=10**10, why="a minute, by all keys of theirs"
)
CALLS_PER_KEY = env.integer(
    "CALLS_PER_KEY", 20, low=1, high=10_000, why="of a program at once, for each process"
)
CALLS_PER_PERSON = env.integer(
    "CALLS_PER_PERSON", 40, low=1, high=10_000, why="of all programs of a person, for each process"
)
CALLS_PER_PROCESS = env.integer(
    "CALLS_PER_PROCESS", 200, low=1, high=10_000, why="of programs at once; more are refused"
)
CALL_CONNECTIONS = env.integer(
    "CALL_CONNECTIONS", 4, low=1, high=100, why="to the database, kept for programs alone"
)
CALL_MESSAGES = env.integer(
    "CALL_MESSAGES", 2_000, low=1, high=100_000, why="each message of a call is looked at"
)
CALL_HEARTBEAT_SECONDS = env.seconds(
    "CALL_HEARTBEAT_SECONDS", 15, low=0.1, high=600, why="proxies cut what is silent for longer"
)
CALL_READ_SECONDS = env.seconds(
    "CALL_READ_SECONDS", 30, low=0.2, high=3600, why="a program that reads nothing is cut off"
)
KEYS_PER_PERSON = env.integer(
    "KEYS_PER_PERSON", 20, low=1, high=10_000, why="keys that nobody remembers open doors"
)
PARTICIPANTS_PER_CONVERSATION = env.integer(
    "PARTICIPANTS_PER_CONVERSATION",
    100,
    low=1,
    high=1000,
    why="each of them hears of everything that happens",
)
INVITE_LINKS_PER_CONVERSATION = env.integer(
    "INVITE_LINKS_PER_CONVERSATION", 20, low=0, high=1000, why="open at a time; 0: none are made"
)
INVITE_LINK_DAYS = env.integer(
    "INVITE_LINK_DAYS", 30, low=1, high=365, why="no link lets people in for longer"
)
SHARES_PER_CONVERSATION = env.integer(
    "SHARES_PER_CONVERSATION", 20, low=0, high=1000, why="open at a time; 0: nothing is shared"
)
SHARE_DAYS = env.integer(
    "SHARE_DAYS", 90, low=1, high=3650, why="whoever wants it for longer shares it again"
)
SHARE_POLL_SECONDS = env.seconds(
    "SHARE_POLL_SECONDS", 5, low=1, high=600, why="how often a shared live page asks for more"
)
PEOPLE_FOUND = env.integer("PEOPLE_FOUND", 8, low=1, high=50, why="people that a search offers")
PEOPLE_SEARCHES = env.integer(
    "PEOPLE_SEARCHES", 120, low=1, high=10_000, why="a minute and person; nobody types faster"
)
VOTES_PER_PERSON = env.integer(
    "VOTES_PER_PERSON", 30, low=1, high=10_000, why="a minute; every page hears of each of them"
)
LABELS_PER_PERSON = env.integer(
    "LABELS_PER_PERSON", 50, low=1, high=1_000, why="of one's own; more nobody tells apart"
)
LABEL_MAX_CHARS = env.integer(
    "LABEL_MAX_CHARS", 40, low=5, high=80, why="of a label's name, beside others in a row"
)
HISTORY_KEPT = env.integer(
    "HISTORY_KEPT", 200, low=1, high=10_000, why="changes of a conversation's settings, with texts"
)
HISTORY_PAGE = env.integer("HISTORY_PAGE", 20, low=1, high=200, why="changes a page brings")
SIDEBAR_PAGE = env.integer("SIDEBAR_PAGE", 40, low=5, high=200, why="rows a sidebar page brings")
PEOPLE_PAGE = env.integer("PEOPLE_PAGE", 50, low=5, high=500, why="people a page lists")
THREAD_PAGE = env.integer("THREAD_PAGE", 60, low=10, high=500, why="messages a thread page brings")
TRANSCRIPT_PAGE = env.integer(
    "TRANSCRIPT_PAGE", 200, low=10, high=1000, why="messages a reviewer's page brings"
)
DATA_UPLOAD_MAX_MEMORY_SIZE = env.integer(
    "BODY_MAX_BYTES", 2_621_440, low=65_536, high=104_857_600, why="form posts; no files are taken"
)
DATA_UPLOAD_MAX_NUMBER_FIELDS = 200

# --- Relay --------------------------------------------------------------------------------------

RELAY_FRAMES_PER_SECOND = env.integer(
    "RELAY_FRAMES_PER_SECOND", 25, low=1, high=60, why="faster than anybody reads"
)
RELAY_FRAMES_PER_SECOND_LOADED = env.integer(
    "RELAY_FRAMES_PER_SECOND_LOADED", 8, low=1, high=60, why="the pace under load, before queues"
)
RELAY_FRAMES_PER_PROCESS = env.integer(
    "RELAY_FRAMES_PER_PROCESS", 400, low=1, high=100_000, why="shared by all answers on their way"
)
RELAY_KEEP_SECONDS = env.seconds(
    "RELAY_KEEP_SECONDS", 0.8, low=0.05, high=10, why="at most a second of text dies with us"
)
RELAY_LEASE_SECONDS = env.seconds(
    "RELAY_LEASE_SECONDS", 10, low=1, high=300, why="a silent relay's answers are given up after it"
)
RELAY_CONTINUES = env.integer(
    "RELAY_CONTINUES",
    0,
    low=0,
    high=10,
    why="how often an answer that lost its relay is continued by itself; not for ever",
)
RELAY_DRAIN_SECONDS = env.seconds(
    "RELAY_DRAIN_SECONDS", 30, low=0, high=3600, why="at the end: for running answers to finish"
)
RELAY_SETTLE_TRIES = env.integer(
    "RELAY_SETTLE_TRIES", 60, low=1, high=10_000, why="to put an answer into a database that fails"
)
RELAY_SETTLE_PAUSE = env.seconds(
    "RELAY_SETTLE_PAUSE", 0.5, low=0, high=60, why="between two of these tries"
)
RELAY_POSTPONE_SECONDS = env.seconds(
    "RELAY_POSTPONE_SECONDS", 1, low=0, high=60, why="a longer wait is seen by all, in the queue"
)
RELAY_POLL_SECONDS = env.seconds(
    "RELAY_POLL_SECONDS", 1, low=0.05, high=60, why="finds work whose wake-up was lost"
)
CATALOGUE_SECONDS = env.seconds(
    "CATALOGUE_SECONDS", 1, low=0, high=60, why="a changed model is known everywhere after it"
)
MODELS_LISTED = env.integer(
    "MODELS_LISTED", 500, low=1, high=10_000, why="of a server's models; more are not looked at"
)
TICK_SECONDS = env.seconds(
    "TICK_SECONDS", 2, low=0.1, high=60, why="a page that hears less knows that it is cut off"
)
RIGHTS_CHECK_SECONDS = env.seconds(
    "RIGHTS_CHECK_SECONDS", 1, low=0.1, high=60, why="how soon an open socket loses its rights"
)

# --- Usage ----------------------------------------------------------------------------------------

CHARACTERS_PER_TOKEN = env.integer(
    "CHARACTERS_PER_TOKEN", 3, low=1, high=20, why="to estimate what no server has counted"
)
BUDGET_ANSWER_TOKENS = env.integer(
    "BUDGET_ANSWER_TOKENS",
    4096,
    low=1,
    high=2**31 - 1,
    why="the longest answer where a budget holds and nobody has set one: so much is reserved",
)
USAGE_DAYS = env.integer(
    "USAGE_DAYS", 366, low=1, high=3660, why="days that one report covers; each is a bar"
)
USAGE_ROWS = env.integer("USAGE_ROWS", 200, low=5, high=10_000, why="rows that a report shows")
BUDGET_METER_PERCENT = env.integer(
    "BUDGET_METER_PERCENT", 80, low=0, high=100, why="from here on people see how full a budget is"
)
LEDGER_LEASE_SECONDS = env.seconds(
    "LEDGER_LEASE_SECONDS", 60, low=1, high=3600, why="what a silent call has reserved is let go"
)

# --- Being there ----------------------------------------------------------------------------------

PRESENCE_SECONDS = env.seconds(
    "PRESENCE_SECONDS",
    3,
    low=0.1,
    high=4,  # with three of them and a crowded room's pause it is 15
    why="processes tell each other who is here; unheard for three of them, one is forgotten",
)
PRESENCE_MESSAGES_PER_SECOND = env.integer(
    "PRESENCE_MESSAGES_PER_SECOND",
    100,
    low=1,
    high=100_000,
    why="in one conversation: the more pages watch it, the less often they are told who is here",
)
PRESENCE_PEOPLE = env.integer(
    "PRESENCE_PEOPLE", 1_000, low=1, high=100_000, why="of one conversation and process are counted"
)
PRESENCE_LISTED = env.integer(
    "PRESENCE_LISTED", 100, low=1, high=1_000, why="are marked as here by name; others are a number"
)
TYPING_SECONDS = env.seconds(
    "TYPING_SECONDS", 6, low=1, high=60, why="whoever writes nothing for so long has stopped typing"
)

MENTIONS_PER_MESSAGE = env.integer(
    "MENTIONS_PER_MESSAGE",
    20,
    low=0,
    high=1_000,
    why="people a message may call by name",
)
READ_SECONDS = env.seconds(
    "READ_SECONDS", 3, low=0.05, high=60, why="what people have read is put away so often, together"
)

# --- Watching -----------------------------------------------------------------------------------

HEALTH_SECONDS = env.seconds(
    "HEALTH_SECONDS", 5, low=0, high=300, why="what /readyz knows for longer it looks up again"
)
HEALTH_TIMEOUT = env.seconds(
    "HEALTH_TIMEOUT", 1, low=0.01, high=60, why="/readyz waits no longer for what it looks up"
)
HEALTH_UPSTREAM_SECONDS = env.seconds(
    "HEALTH_UPSTREAM_SECONDS", 30, low=0, high=3600, why="between two looks at an idle model server"
)
HEALTH_UPSTREAM_TIMEOUT = env.seconds(
    "HEALTH_UPSTREAM_TIMEOUT", 5, low=0.05, high=600, why="for its list of models, which is free"
)
