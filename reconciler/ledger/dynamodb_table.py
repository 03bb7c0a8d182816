"""A DynamoDB table and the few calls that a ledger makes of it: every read consistent, every write transmitted once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from botocore.exceptions import ClientError

from reconciler.errors import LedgerNoStore, LedgerUnfit
from reconciler.identity.digest import Place
from reconciler.ledger.aws import Clients
from reconciler.ledger.aws_errors import Site, code_of, from_aws, no_answer, translated
from reconciler.ledger.dynamodb_items import PARTITION, POSITION, Item, key

NAMES = {"#partition": PARTITION, "#position": POSITION}
SAYING = {"ReturnConsumedCapacity": "TOTAL"}
"""Makes the answer to a write, which is empty otherwise, say something."""

SENTENCES = {
    "ResourceNotFoundException": (
        LedgerNoStore,
        "there is no table {name} in {region}, or it is not ready yet. Correct the ledger of target {target}, or "
        "make the table: reconciler ledger init -t {target}",
    ),
    "ValidationException": (
        LedgerUnfit,
        f"the table {{name}} cannot hold a ledger: its partition key must be {PARTITION} (String) and its sort key "
        f"{POSITION} (Number). Use another name, and make the table: reconciler ledger init -t {{target}}",
    ),
}


class Table:
    """One table. Safe for threads. `timeouts` are seconds to connect and to read. Every method raises `LedgerError`."""

    def __init__(self, url: str, place: Place, timeouts: tuple[float, float] | None = None) -> None:
        self.name = url.removeprefix("dynamodb://")
        self.site = Site(url, self.name, place.region, place.target, SENTENCES)
        self.clients = Clients("dynamodb", place.region, *([timeouts] if timeouts else []))

    def put(self, entry: Item) -> None:
        """Puts an item, whatever is there."""
        with translated(self.site, "dynamodb:PutItem", writing=True):
            answer = self.clients.writing.put_item(TableName=self.name, Item=entry, **SAYING)
            if not _says_something(answer):
                raise no_answer(self.site, "its reply says nothing")

    def put_if_none(self, entry: Item) -> Item:
        """Puts an item if there is none with its keys; returns what is there afterwards."""
        held: Any = None
        with translated(self.site, "dynamodb:PutItem", writing=True):
            try:
                answer = self.clients.writing.put_item(
                    TableName=self.name,
                    Item=entry,
                    ConditionExpression="attribute_not_exists(#position)",
                    ExpressionAttributeNames={"#position": POSITION},
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **SAYING,
                )
            except ClientError as error:
                if code_of(error) != "ConditionalCheckFailedException":
                    raise
                held = error.response.get("Item")
            else:
                if _says_something(answer):
                    return entry
        held = held or self.get(entry[PARTITION]["S"], int(entry[POSITION]["N"]))
        if held is None:
            raise no_answer(self.site, "it did not take a write, and nothing is there")
        return dict(held)

    def get(self, partition: str, position: int) -> Item | None:
        """The item at these keys, `None` where there is none. Whether a ledger has begun only `query` can tell: this
        answer is empty where an item is absent, and an empty answer may be anybody's."""
        with translated(self.site, "dynamodb:GetItem"):
            answer = self.clients.reading.get_item(
                TableName=self.name, Key=key(partition, position), ConsistentRead=True
            )
            found: Item | None = answer.get("Item")
            return found

    def query(self, partition: str, after: int, sizes: Sequence[int]) -> Iterator[list[Item]]:
        """The items of a partition after a position, in order, by pages of at most so many items, the last number from
        then on; at least one page, which may be empty. DynamoDB ends a page at 1 MB in any case.

        An answer without a list is an error: it would look like an empty ledger.
        """
        more: dict[str, Any] = {}
        limits = chain(sizes[:-1], iter(lambda: sizes[-1], 0))
        while True:
            with translated(self.site, "dynamodb:Query"):
                answer = self.clients.reading.query(
                    TableName=self.name,
                    KeyConditionExpression="#partition = :partition AND #position > :after",
                    ExpressionAttributeNames=NAMES,
                    ExpressionAttributeValues={":partition": {"S": partition}, ":after": {"N": str(after)}},
                    ConsistentRead=True,
                    Limit=next(limits),
                    **more,
                )
                if not isinstance(answer.get("Items"), list):
                    raise no_answer(self.site, "its reply holds no items")
                page: list[Item] = answer["Items"]
            yield page
            if not answer.get("LastEvaluatedKey"):
                return
            more = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def close(self) -> None:
        """Closes the connections; the next call opens them again."""
        self.clients.close()


def _says_something(answer: Mapping[str, Any]) -> bool:
    """Whether the answer to a write is DynamoDB's: an empty 200 may be anybody's."""
    return "ConsumedCapacity" in answer or from_aws(answer)
