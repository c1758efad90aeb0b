"""Channels of the east-west cooperation: agreements, their own prices, partner keys and orders, consignment."""
