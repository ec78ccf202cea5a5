"""A stand-in Intercom and a stand-in Koji, on this machine alone.

They let a person try the product without an account anywhere, and they are what the end-to-end, kill and
fault tests talk to. Nothing here imports the application: a mistake that both shared would go unseen.

======================  ==============================================================================
``state``               what the stand-in Intercom remembers, behind one lock, and how a test looks at it
``seed``                the workspace one finds at the start
``documents``           Intercom's JSON shapes; ``figures`` works out what is counted in them
``intercom``            Intercom's REST API, in parts: ``rest``, ``rest_…``, ``attributes``, ``searching``
``acts``                what people do in Intercom: close, rate, tag, merge, delete
``notifications``       Intercom's signed webhooks, for what programs and people did
``outgoing``            the calls that a Series and a data connector make
``canvas``              the documented Canvas Kit, checked strictly
``clock``               lets time pass, for the application and the stand-ins alike
``inbox``, ``playing``  the page of a teammate, who sees the card, and its controls
``koji``                Koji's REST API and the pages of a participant; ``koji_state`` remembers
``analysis``            the toy rules that stand for Koji's analysis
``deliveries``          how the webhooks of either vendor are sent, and tried again
``faults``              how either stand-in can be told to misbehave
``controls``            the routes by which another process plays all of this
``server``              both on two loopback ports
``processes``           the application itself, started as real processes
``tour``                the whole round trip, checked step by step
======================  ==============================================================================
"""

from __future__ import annotations
