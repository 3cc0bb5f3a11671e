"""Photographs, and params to cut tiles of them."""

from photo_fixtures import data_params, photos, textured

__all__ = ["data_params", "photos", "textured"]
