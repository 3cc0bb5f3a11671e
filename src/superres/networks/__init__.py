"""Networks: building blocks, the U-Net, its conditional form."""
