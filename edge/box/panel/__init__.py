"""What people touch and see: button, lamps and display, or a terminal that draws them."""
