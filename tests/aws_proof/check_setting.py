"""A Spark job that succeeds if a setting has the expected value. Upload it, and set its location in the suite's
variables.

Arguments: the name of the setting, and its value as JSON.
"""

import json
import sys

from pyspark.sql import SparkSession  # type: ignore[import-not-found]

if __name__ == "__main__":
    name, expected = sys.argv[1], json.loads(sys.argv[2])
    value = SparkSession.builder.getOrCreate().sparkContext.getConf().get(name)
    print(f"{name} is {value!r}, expected {expected!r}")
    sys.exit(0 if value == expected else 1)
