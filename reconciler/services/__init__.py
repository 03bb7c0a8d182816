"""The AWS services that run jobs, each behind `ports.Service`, and the real clock.

What may live here: sessions and clients, the guard that lets one transmission through, the classifier of outcomes, and
one adapter for each service. boto3's and botocore's errors end here. What may not: decisions about what to submit.
"""
