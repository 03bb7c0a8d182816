"""Applies a plan: the only package that orders effects.

`protocol` is the submission protocol and `actions` the other procedures, as generators over effects, without I/O;
`interpreter` performs the effects through the ports; `executor` runs the actions of a plan in parallel and isolates
the failure of one action from the others. Not allowed here: decisions about what to run, AWS or storage libraries,
anything that prints.

A submit passes through these functions, from the plan to AWS and back:

    executor.execute                       starts the threads
      interpreter.drive                    runs a generator in each, and performs the effects that it yields
        groups.together                    runs several specs at a time, and joins their appends to one
          executor.steps, _run_action      runs the actions of one spec, one after the other
            intents.submit_task            builds the draft of the intent, with the exact request
            protocol.submit, _send         yields `Acquire`, `ReadClock`, `Append` (the intent) and `Transmit`
      interpreter._perform_effect          calls the port of an effect: the quota, the clock, the ledger or, for
        interpreter._transmit              `Transmit`, the service, which is an adapter such as `aws.batch.Batch`
          aws.adapter.submit
            aws.outcome.transmit           calls AWS once, guarded by a hook, and returns an `Outcome`
            protocol._conclude             yields `Append` (the event of the outcome), and returns the `ActionResult`
"""
