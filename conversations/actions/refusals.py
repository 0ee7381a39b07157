"""Why an action was refused, in words for the person.

Refused
├── TurnRunning        an answer is being written in this conversation
├── TooManyAnswers     the person would have more answers on their way than one may have
├── NoModel            the chosen model is not offered (any more), or none is set up
├── ModelNotForYou     the chosen model is for certain teams, of which the person is in none
├── OverBudget         a budget of the person, their team or the portal has not enough left
├── QueueFull          as many turns wait as may, in all or of this person
├── TurnGone           the turn was sent or withdrawn meanwhile
├── MayNotWrite        the turn's author may not write there any more
├── RightLost          the person's own role there was changed or taken away meanwhile
├── NotAnOwner         somebody who owns it no longer does what only owners do
├── NothingToNote      nothing was said that a note could stand under
├── TooManyNotes       as many notes stand under that message as may
├── SentElsewhere      the same message was sent in another conversation
├── TooOften           the person did it as often as one may within a minute
├── Decided            one of the drafts was chosen already
├── NotTakingPart      the person takes no part there any more
├── NotYours           somebody else said it
└── NothingToAnswer    there is no question, or nothing to go on from
"""

from django.utils.translation import gettext as _
from django.utils.translation import ngettext


class Refused(Exception):
    """The state of things does not allow it; trying again later may."""

    @property
    def message(self) -> str:
        return str(self)


class TurnRunning(Refused):
    def __init__(self) -> None:
        super().__init__(_("An answer is being written. Wait for it or stop it, then send."))


class TooManyAnswers(Refused):
    def __init__(self, most: int, *, asked: int = 1) -> None:
        sentence = (
            ngettext(
                "You have %(n)d answer on its way, which is as many as one person may have.",
                "You have %(n)d answers on their way, which is as many as one person may have.",
                most,
            )
            if asked == 1
            else ngettext(
                "One person may have %(n)d answer on its way: ask for fewer, or wait.",
                "One person may have %(n)d answers on their way: ask for fewer, or wait.",
                most,
            )
        )
        super().__init__(sentence % {"n": most})


class NoModel(Refused):
    def __init__(self, model: str) -> None:
        super().__init__(
            _("The model %(model)s is not offered. Choose another one.") % {"model": model}
            if model
            else _("No model is set up yet. Ask the people who run this portal.")
        )


class ModelNotForYou(Refused):
    def __init__(self, label: str) -> None:
        super().__init__(
            _(
                "The model %(model)s is for certain teams, and you are in none of them. "
                "Choose another one, or ask the people who run this portal."
            )
            % {"model": label}
        )


class OverBudget(Refused):
    """With the ledger's sentence: which budget, until when, and who can raise it."""


class QueueFull(Refused):
    def __init__(self, most: int, *, own: bool) -> None:
        sentence = (
            ngettext(
                "%(n)d message of yours waits here already, which is as many as may.",
                "%(n)d messages of yours wait here already, which is as many as may.",
                most,
            )
            if own
            else ngettext(
                "%(n)d message waits here already, which is as many as may.",
                "%(n)d messages wait here already, which is as many as may.",
                most,
            )
        )
        super().__init__(sentence % {"n": most})


class TurnGone(Refused):
    def __init__(self) -> None:
        super().__init__(_("Somebody was faster: it was sent or withdrawn meanwhile."))


class MayNotWrite(Refused):
    def __init__(self, name: str) -> None:
        super().__init__(_("%(name)s may not write here any more.") % {"name": name})


class RightLost(Refused):
    def __init__(self) -> None:
        super().__init__(_("You may not write here any more."))


class NotTakingPart(Refused):
    def __init__(self) -> None:
        super().__init__(_("You take no part here any more."))


class NotAnOwner(Refused):
    def __init__(self) -> None:
        super().__init__(_("Only owners of the conversation may do this."))


class NothingToNote(Refused):
    def __init__(self) -> None:
        super().__init__(_("There is nothing here yet that a note could stand under."))


class TooManyNotes(Refused):
    def __init__(self, most: int) -> None:
        super().__init__(
            ngettext(
                "%(n)d note stands here already, which is as many as may.",
                "%(n)d notes stand here already, which is as many as may.",
                most,
            )
            % {"n": most}
        )


class SentElsewhere(Refused):
    def __init__(self) -> None:
        super().__init__(_("This message was sent in another conversation already."))


class TooOften(Refused):
    def __init__(self) -> None:
        super().__init__(_("That was often. Wait a minute, then go on."))


class Decided(Refused):
    def __init__(self) -> None:
        super().__init__(_("One of these answers was chosen already."))


class NotYours(Refused):
    def __init__(self) -> None:
        super().__init__(_("Only what you said yourself can be said anew."))


class NothingToAnswer(Refused):
    def __init__(self) -> None:
        super().__init__(_("There is nothing here that the model could go on from."))
