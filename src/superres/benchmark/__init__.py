"""Measuring a model as papers do: their sets, their inputs, their figures beside the published."""
