"""Photographs to tiles: finding files, splitting them by photograph, cutting."""
