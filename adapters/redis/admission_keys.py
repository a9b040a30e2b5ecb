"""Where the queue and the slots of the fleet are in Redis: their scripts touch each other's keys in one step."""

QUEUE = "headgate:queue:"
MESSAGES, RING, SEQUENCE, DEFICITS, OWNERS, LINES = (
    QUEUE + name for name in ("messages", "ring", "sequence", "deficits", "owners", "line:")
)
JOBS, TAKEN, DUE, TOLD, WORKERS, DEAD, GRAVES = (
    QUEUE + name for name in ("job:", "taken", "due", "told", "workers", "dead", "graves")
)
HOLDERS, TENANT = "headgate:slots:all", "headgate:slots:of:"
PROCESS_MS = 60_000
"""How long what is left for a process is kept."""
