"""What makes an input of a tile: downsampling, corruptions, pairs and reading them."""
