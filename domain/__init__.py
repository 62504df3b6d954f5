"""Values that all rooms share: time, account, goals, phases, groups, tables, plans, protocols, errors. No I/O."""
