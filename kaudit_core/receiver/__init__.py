"""The webhook backend's other end: takes event lists from API servers and answers once they are on disk.

docs/decisions/0020-receiver.md says what is promised and how it is kept.
"""
