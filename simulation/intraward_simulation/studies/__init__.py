"""Studies on open clinical data: what the product's own training stages reach without privacy noise."""
