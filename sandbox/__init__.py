"""A stand-in Intercom and a stand-in Koji, on this machine alone.

They let a person try the product without an account anywhere, and they are what the end-to-end, kill and
fault tests talk to. Nothing here imports the application: a mistake that both shared would go unseen.

=================  ==========================================================================
``state``          what both stand-ins remember, behind one lock, and how a test looks at it
``seed``           the workspace one finds at the start
``documents``      Intercom's JSON shapes
``intercom``       Intercom's REST API
``canvas``         the documented Canvas Kit, checked strictly
``inbox``          the page of a teammate, who sees the card
``koji``           Koji's REST API and the pages of a participant
``analysis``       the toy rules that stand for Koji's analysis
``deliveries``     Koji's signed webhooks
``faults``         how either stand-in can be told to misbehave
``server``         both on two loopback ports
``processes``      the application itself, started as real processes
``tour``           the whole round trip, checked step by step
=================  ==========================================================================
"""

from __future__ import annotations
