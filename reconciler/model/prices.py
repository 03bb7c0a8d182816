"""The prices of a target, from which the cost of a run is computed."""

from pydantic import Field, field_validator

from reconciler.model.base import Strict
from reconciler.model.kind import MODULES, Resources


class PriceList(Strict):
    """The prices of the resources that runs use. Costs do not include a resource without a price."""

    vCPUHour: float = Field(0, ge=0, description="The price of one vCPU for an hour.")
    memoryGBHour: float = Field(0, ge=0, description="The price of one GB of memory for an hour.")
    storageGBHour: float = Field(0, ge=0, description="The price of one GB of storage for an hour.")

    def cost(self, resources: Resources) -> float:
        """Returns the price of these resources."""
        return (
            self.vCPUHour * resources.vcpu_hours
            + self.memoryGBHour * resources.memory_gb_hours
            + self.storageGBHour * resources.storage_gb_hours
        )


class Prices(PriceList):
    """Your prices, from which `plan` and `runs` compute costs."""

    currency: str = Field("USD", pattern=r"^[A-Z]{3}$", description="The currency of the prices, as in ISO 4217.")
    kinds: dict[str, PriceList] = Field(
        {}, description="Other prices for the runs of a kind, such as BatchJob, instead of those above."
    )

    @field_validator("kinds")
    @classmethod
    def _known(cls, kinds: dict[str, PriceList]) -> dict[str, PriceList]:
        for name in kinds:
            if name not in MODULES:
                raise ValueError(f"{name!r} is not a kind: use {' or '.join(MODULES)}")
        return kinds

    def cost_of(self, kind: str, resources: Resources | None) -> float | None:
        """Returns the cost of a run that used `resources`; `None` if they are not known."""
        return None if resources is None else self.kinds.get(kind, self).cost(resources)
