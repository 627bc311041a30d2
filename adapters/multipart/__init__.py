"""Uploads as multipart/form-data: a guard that checks, and streaming-form-data behind it."""
