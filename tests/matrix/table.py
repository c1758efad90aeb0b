"""All acts by endpoint."""

from __future__ import annotations

from tests.matrix import acts_channels, acts_goods, acts_house, acts_statements, acts_trade
from tests.matrix.acts import ACTS

__all__ = ["ACTS", "acts_channels", "acts_goods", "acts_house", "acts_statements", "acts_trade"]
