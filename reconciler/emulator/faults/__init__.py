"""Faults of the embedded AWS: lost, late, doubled and refused calls, on the socket, as a plan says.

What may live here: the plan, whose turn a rule's is, what then happens to a call. What may not: how AWS behaves when
nothing fails; faults of the stored world (lag, forgetting, clock) are settings of the emulator and live with those.
Without a rule none of this runs. Modules:

    plan        rules and settings, with what is wrong in them
    file        a plan in a YAML or JSON file
    subject     what a call is about: service, operation, names
    turns       which rule acts on a call, and the counts
    replies     what a client gets instead of AWS's answer
    deliveries  requests on their way, by the clock
    injector    the handler around the dispatcher
"""
