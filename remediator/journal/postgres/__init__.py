"""PostgreSQL: the journal of several daemons at once, which share one database.

`lease` keeps this node's row alive and notices the dead, `writer` commits what has gathered,
`connection` drives operations, `dialect` spells the portable SQL, `migrate` keeps the schema,
`dumping` copies it all.
Neither LISTEN/NOTIFY nor advisory locks are needed for anything to be right: the first only wakes
others sooner, the second are not used.
"""
