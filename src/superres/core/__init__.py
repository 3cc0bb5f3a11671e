"""The ground floor: errors, files, seeds, devices, processes; it knows no other room."""
