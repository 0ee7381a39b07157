"""`in_words`: what a row keeps in English, in the language of who reads it."""

from django import template

from conversations import sentences

register = template.Library()
register.filter("in_words", sentences.in_words)
