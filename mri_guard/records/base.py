"""What all stored or sent records share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

PValue = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
"""A p-value in (0, 1]. Refuses NaN, since `nan <= alpha` is false and would release a scan."""

Finite = Annotated[float, Field(allow_inf_nan=False)]
"""A number that is one: neither NaN nor infinite."""

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
"""A share or probability in [0, 1]; never NaN."""

Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Record(BaseModel):
    """A frozen value that knows no field it was not given."""

    model_config = ConfigDict(frozen=True, extra="forbid")
