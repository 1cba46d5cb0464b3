"""How many whole budgets a second, beside two peers that do the same hops: a ceiling with no rules in it, and the work
as it is usually written. Everything is real: Kafka, PostgreSQL, processes; see docs/benchmark.md."""
