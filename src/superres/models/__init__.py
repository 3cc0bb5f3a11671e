"""Networks: building blocks, the U-Net and its super-resolution form."""
