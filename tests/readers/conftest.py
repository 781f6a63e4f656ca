"""A warm decoder that the readers' tests share."""

from collections.abc import Iterator

import pytest

from mri_guard.readers import Decoder


@pytest.fixture(scope="session")
def decoder() -> Iterator[Decoder]:
    with Decoder() as warm:
        yield warm
