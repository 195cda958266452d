"""The page and the API: a process of its own, which talks to the daemon by its socket."""
