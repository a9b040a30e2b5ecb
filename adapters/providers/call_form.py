"""The form in which a provider is asked: streamed and with `stream_options`, unless it is known to refuse that."""

import time
from typing import NamedTuple

from adapters.providers.refused_form import Refused, refused_form
from ports.clock import Clock

REMEMBERED_SECONDS = 3600.0
MAX_REMEMBERED = 1_000
"""Callers may name any model of a provider: the oldest is forgotten first."""


class Form(NamedTuple):
    """How one call is put."""

    stream: bool = True
    stream_options: bool = True

    def without(self, refused: Refused) -> "Form | None":
        """The form that does without what was refused; None if this one does already. Who does not stream takes no
        options of streams either."""
        if not getattr(self, refused):
            return None
        return (
            Form(stream=False, stream_options=False)
            if refused is Refused.STREAM
            else self._replace(stream_options=False)
        )


class CallForms:
    """What the models of one provider refuse: `usual` for all, and what was found out of each, for an hour."""

    def __init__(self, usual: Form, clock: Clock | None = None) -> None:
        self._usual = usual
        self._monotonic = time.monotonic if clock is None else clock.monotonic
        self._found: dict[str, tuple[Form, float]] = {}

    def of(self, model: str) -> Form:
        """How a model is asked now."""
        form, until = self._found.get(model, (self._usual, 0.0))
        return form if self._monotonic() < until else self._usual

    def remember(self, model: str, form: Form) -> None:
        """A model has answered to this form, and refused the one before."""
        self._found.pop(model, None)
        if len(self._found) >= MAX_REMEMBERED:
            del self._found[next(iter(self._found))]
        self._found[model] = form, self._monotonic() + REMEMBERED_SECONDS


class CallForm:
    """The form of one call, which may have to be asked again in another: no failure of the provider, and no retry."""

    __slots__ = ("_changed", "_forms", "_model", "form")

    def __init__(self, forms: CallForms, model: str) -> None:
        self._forms = forms
        self._model = model
        self._changed = False
        self.form = forms.of(model)
        """How it is asked next."""

    def refused(self, status: int, body: bytes) -> bool:
        """Whether an error refuses a part of the form that can be done without: the form is the other one then."""
        part = refused_form(status, body)
        form = None if part is None else self.form.without(part)
        if form is None:
            return False
        self.form, self._changed = form, True
        return True

    def accepted(self) -> None:
        """It is being answered: only now what was refused is known to have been the form."""
        if self._changed:
            self._forms.remember(self._model, self.form)
