"""A second reader of payloads: slow, plain Python, written from docs/format.md alone.

It imports nothing of isp_meta, so that page and product cannot both be wrong in the same way.
"""
