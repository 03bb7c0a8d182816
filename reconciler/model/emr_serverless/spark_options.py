"""The options of spark-submit: their names, their values, and those that have no effect on EMR Serverless.

Source: `SparkSubmitOptionParser.java` in Spark 3 and 4, whose lists differ only by additions; docs/adr/0017 lists the
versions.
"""

CONF = "conf"
LISTS = frozenset({"archives", "exclude-packages", "files", "jars", "packages", "py-files", "repositories"})
FLAGS = frozenset({"load-spark-defaults", "supervise", "verbose"})
VALUES = frozenset({
    "class", "deploy-mode", "driver-class-path", "driver-cores", "driver-java-options", "driver-library-path",
    "driver-memory", "executor-cores", "executor-memory", "keytab", "master", "name", "num-executors", "principal",
    "properties-file", "proxy-user", "queue", "remote", "total-executor-cores",
})  # fmt: skip
OPTIONS = LISTS | FLAGS | VALUES | {CONF}
"""The options in the help of spark-submit, which a mapping may contain."""

SHORT = {"-c": CONF, "-v": "verbose"}
PROPERTIES = {
    "archives": "spark.archives",
    "driver-class-path": "spark.driver.extraClassPath",
    "driver-java-options": "spark.driver.extraJavaOptions",
    "driver-library-path": "spark.driver.extraLibraryPath",
    "exclude-packages": "spark.jars.excludes",
    "files": "spark.files",
    "jars": "spark.jars",
    "name": "spark.app.name",
    "packages": "spark.jars.packages",
    "py-files": "spark.submit.pyFiles",
    "repositories": "spark.jars.repositories",
}
"""The property that an option sets, if Spark has one for the same value."""

NO_RUN = {
    "help": "prints the usage",
    "kill": "ends another submission",
    "status": "asks about another submission",
    "usage-error": "prints the usage",
    "version": "prints the version",
}
HIDDEN = {"driver-default-class-path"}  # an option of Spark 4 that is missing from its help
WITH_VALUE = (OPTIONS - FLAGS) | HIDDEN | {"kill", "status"}
WITHOUT_VALUE = FLAGS | (NO_RUN.keys() - {"kill", "status"})
ALL = WITH_VALUE | WITHOUT_VALUE
SHORTS = {**SHORT, "-h": "help"}
DASHED_VALUES = {"driver-java-options", "driver-class-path", "driver-library-path"}
MAY_HAVE_SPACES = DASHED_VALUES | {CONF, "name"}
JAVA_OPTIONS = {"add-exports", "add-modules", "add-opens", "add-reads", "enable-native-access", "enable-preview"}

ITSELF = "EMR Serverless chooses the cluster itself"
NOT_TAKEN = {
    "deploy-mode": f"{ITSELF}: remove it",
    "master": f"{ITSELF}: remove it",
    "num-executors": f"{ITSELF}, and this is for YARN and Kubernetes: use --conf spark.executor.instances=N",
    "queue": f"{ITSELF}, and this is for YARN: remove it",
    "remote": f"{ITSELF}: remove it",
    "supervise": f"{ITSELF}, and this is for standalone ones: remove it, and set retryPolicy if you need retries",
    "total-executor-cores": f"{ITSELF}, and this is for standalone ones: use --conf spark.executor.instances=N",
}
"""Options of spark-submit that select or require a cluster manager other than EMR Serverless."""
