"""Reason codes in the rep's words: what happened, and who can do what about it."""

from __future__ import annotations

WRITTEN_BY_ANOTHER = (
    "The teammate who asked is no longer in this workspace, so it went out in the name of the app's admin."
)
OTHER_WORKSPACE = "INTERCOM_ACCESS_TOKEN (it belongs to another workspace)"
DATABASE_AWAY = "The app cannot reach its database right now. Please refresh in a moment."
DISK_FULL = (
    "The app's disk is full, so that it cannot save anything. Please tell whoever runs it, and refresh then."
)

ASK_OPERATOR = "Please tell the person who set the app up."

_REASONS = {
    "too_late": "It could not go out in time, so it was given up.",
    "not_configured": f"A setting of the app is missing. {ASK_OPERATOR}",
    "other_workspace": f"The app is connected to another Intercom workspace. {ASK_OPERATOR}",
    "intercom_token_refused": f"Intercom does not accept the app's access token. {ASK_OPERATOR}",
    "intercom_token_malformed": f"The app's Intercom access token is not a token. {ASK_OPERATOR}",
    "intercom_scope_missing": f"The app lacks a permission in Intercom. {ASK_OPERATOR}",
    "intercom_plan_restricted": "Your Intercom plan does not allow this.",
    "koji_token_refused": f"Koji does not accept the study's key. {ASK_OPERATOR}",
    "koji_token_malformed": f"The study's Koji key is not a key. {ASK_OPERATOR}",
    "koji_scope_missing": f"The study's Koji key lacks a permission, or the plan has no API. {ASK_OPERATOR}",
    "koji_credits": f"Koji says that the credits are used up. {ASK_OPERATOR}",
    "no_personal_link": f"Koji gave no personal link, and no link template is set. {ASK_OPERATOR}",
    "link_host_not_allowed": f"Koji's personal link leads to an address that is not allowed. {ASK_OPERATOR}",
    "link_too_long": f"The personal link became too long to be sent. {ASK_OPERATOR}",
    "base_url_wrong": f"The address of Koji or Intercom in the app's settings is wrong. {ASK_OPERATOR}",
    "koji_no_id": "Koji's answer did not name the interview.",
    "koji_already_started": "Koji says the interview was started before, and not which one it is.",
    "not_found": "The conversation, the contact or the study is no longer there.",
    "contact_merged": "The contact was merged into another one, and Intercom does not say which.",
    "intercom_refused": f"Intercom refused it. {ASK_OPERATOR}",
    "koji_refused": f"Koji refused it. {ASK_OPERATOR}",
    "id_malformed": f"An id is not of the form that Intercom or Koji uses. {ASK_OPERATOR}",
    "unknown_attribute": f"An attribute of ours could not be created in Intercom. {ASK_OPERATOR}",
    "redirected": f"The address of Koji or Intercom in the app's settings is wrong. {ASK_OPERATOR}",
    "attribute_archived": f"An attribute of ours is archived in Intercom. {ASK_OPERATOR}",
    "gate_full": "There are many calls at the moment; it goes on by itself in its turn.",
    "gate_blocked": "Koji or Intercom has asked for a pause between calls; it goes on by itself.",
    "rate_limited": "There were too many calls in a short time.",
    "unreachable": "Koji or Intercom could not be reached.",
    "no_answer": "Koji or Intercom did not answer.",
    "server_error": "Koji or Intercom had a fault.",
    "answer_unreadable": "An answer of Koji or Intercom could not be read.",
    "answer_too_large": "The other side's answer was too large to be read.",
    "being_verified": "It is being checked whether the message has gone out.",
    "claimed_by_another": "It is being checked whether the message has gone out.",
    "too_slow": "The app was too busy for a moment.",
    "attribute_not_ready": "Intercom does not know the new attributes yet.",
    "withdrawn": "A teammate has taken the link back.",
    "cancelled_by_rep": "A teammate has cancelled it.",
    "study_off": f"The study was switched off. {ASK_OPERATOR}",
    "secret_lost": f"The study's key cannot be read any more. {ASK_OPERATOR}",
    "open_interview": "The customer had an open interview at that time.",
    "asked_recently": "The customer had been asked not long before.",
    "merged_away": "The customer was merged into one who had an interview already.",
    "erased": "The customer's data was erased.",
    "already_planned": "Another interview was planned for the customer already.",
    "study_unknown": "There is no study of this name.",
    "contact_not_found": "Intercom knows no contact with this address or id.",
    "contact_not_ready": "Intercom cannot send messages to this contact yet.",
    "link_too_long_for_attribute": f"The link is too long for an attribute. {ASK_OPERATOR}",
    "planned_interview": "Another interview is planned for the customer already.",
    "asked_in_conversation": "An interview had been asked for in this conversation before.",
    "answered_meanwhile": "The customer answered another interview in the meantime.",
    "do_not_ask": "A tag on the customer or the conversation says that nobody is to ask.",
    "unsubscribed": "The customer does not want e-mails.",
    "blocked": "The customer has marked an e-mail as spam, or is kept out of Intercom.",
    "conversation_of_another": f"The customer is not in the conversation that was named. {ASK_OPERATOR}",
    "group_conversation": "Several people are in the conversation, and the link would be one person's.",
    "contact_gone": "Intercom no longer has this contact.",
    "rule_gone": "There is no such rule any more.",
    "rule_off": "The rule that asked for it is switched off.",
    "week_full": "The rule has asked for as many interviews this week as it may.",
    "credits_used": "The rule has used as many credits this week as it may.",
    "not_in_share": "The customer is not in the share of customers that the rule asks.",
    "rating_too_good": "The rating was better than the rule asks about.",
    "rating_unknown": "There is no rating.",
    "tag_missing": "None of the tags that the rule asks about is there.",
    "tag_present": "A tag is there that the rule leaves out.",
    "other_role": "The contact is a lead where the rule asks users, or the other way round.",
    "not_closed_by_person": "The conversation was not closed by a person.",
    "too_short": "The conversation was too short to be worth asking about.",
    "own_closing": "It was this app that closed the conversation.",
    "own_message": "It is about a message of this app's own.",
    "own_tag": "It was this app that put the tag on.",
    "event_too_old": "It could not be decided about for a day, and the moment is over.",
    "not_decided": "Intercom could not be asked about it, so that nobody was asked.",
    "another_rule": "Another rule has asked already.",
    "not_to_be_reminded": "There is nothing to remind the customer of any more.",
    "reminder_off": "The study sends no reminder.",
    "not_yet": "Its time has not come yet.",
    "replaced": "A newer interview has taken its place.",
    "no_conversation": "There is no conversation to send it to.",
    "note_unknown": "It could not be learnt whether the note was posted in the conversation.",
    "conversation_gone": "Intercom no longer has the conversation, so there is no note.",
    "conversation_missing": "Intercom no longer has the conversation.",
    "anonymous_after_writing": "It turned out to be anonymous. A part may have been written to Intercom.",
    "low_quality_after_writing": "Its quality turned out too low. A part may have been written to Intercom.",
    "quality_unknown_after_writing": "It lost its quality score. A part may have been written to Intercom.",
    "quality_unknown": "Koji gave no quality score for it.",
    "given_up": f"The app gave it up after several faults. {ASK_OPERATOR}",
    "not_written_back": f"It could not be written to Intercom. {ASK_OPERATOR}",
    "address_private": "The address leads into a private network, where nothing is posted.",
    "alerts_refused": "The address does not take the message.",
    "alerts_token_refused": "The address does not take the message.",
    "alerts_scope_missing": "The address does not take the message.",
    "internal_error": "The app had a fault; it is in its log.",
}


def in_words(code: str | None) -> str | None:
    """The words for a reason code; a code that has none is shown as it is, so that it can be told on."""
    if code is None:
        return None
    return _REASONS.get(code, f"The reason code is {code}.")
