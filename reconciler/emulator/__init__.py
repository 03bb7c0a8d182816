"""The embedded AWS: EMR Serverless, AWS Batch and STS on loopback, for real boto3 clients.

What may live here: the HTTP server, the state behind it, and AWS's own rules as the services document them. What may
not: anything of the reconciler's own (specs, plans, ledgers), so that the emulator can prove the reconciler wrong.
Nothing else imports this package at start-up. Modules:

    server      lifecycle: start, stop, configure, look at what was accepted
    http        HTTP/1.1 on loopback, on werkzeug
    dispatch    one call in, one reply out: the seam where faults go
    faults      what goes wrong with calls, as a plan says
    protocol    botocore's service models: routes, request parsing, reply shapes
    validation  botocore's shapes as rules: types, required, ranges, enums, patterns, unions
    state       the SQLite file
    lifecycle   states over time, as pure functions of stored facts and now
"""
