"""AWS: boto3 clients, calls and what their replies mean.

What may live here: all that imports boto3 and botocore. What may not: decisions. Foreign errors end here: above there
are outcomes and `ServiceError`.
"""
