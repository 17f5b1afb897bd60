"""What recovery makes of a picture and its samples; capture tries the very same."""
