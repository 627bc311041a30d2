"""The bytes that others read: event payloads and HTTP bodies, as msgspec structs."""
