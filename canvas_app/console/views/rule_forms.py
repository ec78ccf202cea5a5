"""A rule is written, or changed: every condition and limit, with the checks that a rule file goes through."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Response, abort, flash, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse
from wtforms import BooleanField, Form, HiddenField, SelectChoice, SelectField, StringField, TextAreaField

from canvas_app import store, web
from canvas_app.console import access, mistakes, rule_words
from canvas_app.console.door import blueprint, show
from canvas_app.console.mistakes import Difference, Mistake
from canvas_app.errors import ChangedMeanwhile, RuleRefused
from canvas_app.interviews import hours, rule_changes, rule_form, rulestore, studies
from canvas_app.interviews.rulebook import Rule
from canvas_app.settings import DEFAULT_STUDY, Study


class RuleForm(Form):
    """Texts alone: what they must be like, the rule itself says."""

    seen = HiddenField()
    slug = StringField(
        "Name for files and the command line",
        description="Small letters, digits, - and _, as in low-rating. It cannot be changed later.",
    )
    title = StringField("Title", description="What the rule is for, in a few words.")
    description = TextAreaField(
        "Description", description="For colleagues: when to use it, and what in Intercom drives it."
    )
    event = SelectField(
        "When this happens in Intercom",
        choices=[SelectChoice(event, label) for event, label in rule_words.EVENTS.items()],
        validate_choice=False,
    )
    delay = StringField(
        "Ask so much later",
        description="As in 30 minutes, 2 hours or 7 days; 90 days at most. Leave it empty to ask at once.",
    )
    business_hours = StringField(
        "Only at these hours",
        description=f"By the workspace's clocks, as in {hours.USUAL}. A message outside of them waits for "
        "the next opening. Leave it empty for any time.",
    )
    study = SelectField("Study to ask with", validate_choice=False)
    tag = TextAreaField(
        "One of these tags",
        description="One a line. For a rule about tags: the tags that were just put on. For the others: at "
        "least one of them is on the contact or the conversation.",
    )
    tag_not = TextAreaField(
        "None of these tags",
        description="One a line. Nobody is asked who has one of them, or whose conversation has.",
    )
    rating_at_most = StringField(
        "Rating at most", description="From 1 to 5. Empty: whatever the rating, also none."
    )
    closed_by_person = BooleanField(
        "Only when a person has closed it", description="Not when a bot, a workflow or another app did."
    )
    role = SelectField(
        "Whom",
        choices=[
            SelectChoice("", "Users and leads"),
            *(SelectChoice(role, label) for role, label in rule_words.ROLES.items()),
        ],
        validate_choice=False,
    )
    customer_parts_at_least = StringField(
        "Messages by the customer, at least", description="From 1 to 500. Empty: any number."
    )
    characters_at_least = StringField(
        "Characters by the customer, at least",
        description="From 1 to 100000, in all their messages together. Empty: any number.",
    )
    share = StringField(
        "Share of contacts, in per cent",
        description="From 1 to 100. The same contact is always asked, or never. Empty: all of them.",
    )
    interviews_per_week = StringField(
        "Interviews in seven days, at most", description="Of this rule. Empty: no limit."
    )
    credits_per_week = StringField(
        "Koji's credits in seven days, at most",
        description="Counted as if every interview were answered. Empty: no limit.",
    )

    def offer(self, every: Sequence[Study]) -> None:
        """Let there be a choice of these studies, and of the one that is chosen also where it is gone."""
        names = {study.slug: study.name + ("" if study.enabled else " (off)") for study in every}
        if self.study.data and self.study.data not in names:
            names[self.study.data] = f"{self.study.data} (there is no such study)"
        self.study.choices = [SelectChoice(slug, name) for slug, name in names.items()]


@blueprint.get("/new-rule")
def new_rule() -> Response:
    return _form(RuleForm(data={"study": DEFAULT_STUDY}))


@blueprint.post("/new-rule")
def add_rule() -> BaseResponse:
    form = RuleForm(request.form)
    try:
        rule = _entered(form, form.slug.data or "")
        rule_changes.create(web.current().engine, access.current().teammate, rule)
    except RuleRefused as refused:
        return _form(form, 422, mistakes.tell(form, refused.problems))
    flash("The rule is written, and off. Try it before you switch it on.")
    return redirect(url_for("console.rule", slug=rule.slug))


@blueprint.get("/rules/<slug>/edit")
def edit_rule(slug: str) -> Response:
    rule, version = _existing(slug)
    return _form(RuleForm(data={**rule_form.texts(rule), "seen": version}), rule=rule)


@blueprint.post("/rules/<slug>/edit")
def save_rule(slug: str) -> BaseResponse:
    form = RuleForm(request.form)
    rule, version = _existing(slug)
    try:
        changed = rule_changes.change(
            web.current().engine,
            access.current().teammate,
            _entered(form, slug),
            seen=form.seen.data or "",
        )
    except RuleRefused as refused:
        return _form(form, 422, mistakes.tell(form, refused.problems), rule=rule)
    except ChangedMeanwhile:
        found = mistakes.differences(form, rule_form.texts(rule))
        # They are told now what they would overwrite.
        form.seen.data = version
        return _form(form, 409, rule=rule, differences=found)
    flash("The rule is changed." if changed else "There was nothing to change.")
    return redirect(url_for("console.rule", slug=slug))


def _entered(form: RuleForm, slug: str) -> Rule:
    here = web.current()
    with store.reading(here.engine) as connection:
        known = [study.slug for study in studies.listed(connection, here.settings)]
    # Whether it is on, the rule that is changed says.
    return rule_form.entered(slug, mistakes.given(form, rule_form.FIELDS), enabled=False, studies=known)


def _existing(slug: str) -> tuple[Rule, str]:
    with store.reading(web.current().engine) as connection:
        # The version first: what is changed between the two is refused then, and not overwritten.
        version = rulestore.versions(connection).get(slug)
        rule = rulestore.find(connection, slug)
    if rule is None or version is None:
        abort(404)
    return rule, version


def _form(
    form: RuleForm,
    status: int = 200,
    found: Sequence[Mistake] = (),
    *,
    rule: Rule | None = None,
    differences: Sequence[Difference] | None = None,
) -> Response:
    here = web.current()
    with store.reading(here.engine) as connection:
        form.offer(studies.listed(connection, here.settings))
    return show("rule_form.html", status, form=form, mistakes=found, rule=rule, differences=differences)
