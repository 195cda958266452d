"""The appliance: what people touch and see, and what happens then."""
