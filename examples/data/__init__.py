"""Sample support messages with labelled personal data and secrets; see ``README.md`` for where the values come from."""
