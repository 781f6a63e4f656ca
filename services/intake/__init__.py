"""From the wire to a durable spool, and from a quiet series to a job."""
