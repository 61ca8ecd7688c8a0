"""The matcher: compiled pieces that do per byte what the readable reference does per event.

``_native`` is optional: it is built when the machine that installs kaudit has a C++ compiler. Import it by name and
handle ImportError where the reference can do the same work; an explicit request for it that fails is an error.
"""
