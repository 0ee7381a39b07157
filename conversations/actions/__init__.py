"""The only writers. Keyword-only functions, one transaction each, audited, told on commit."""
