"""A page on this machine for restoring pictures, made with Gradio."""
