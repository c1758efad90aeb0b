"""The data that a first start brings along: `catalog_seed/`, loaded through the services."""
