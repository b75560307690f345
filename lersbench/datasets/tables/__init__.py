"""A user's own tables, read through DuckDB: one set of rules, whatever the file.

* Ids (requests, items, actions, users, customers, products, sellers, orders) are text: "007" is not 7, "NA" is an id.
  Blanks round an id are no part of it; that they were taken off is said. Whole numbers are ids as they are written,
  numbers with a decimal point are refused, for 7 and 7.0 would be two ids.
* A missing cell is an empty one, a null, or NaN in a column of floating numbers. No other word means "missing".
* Numbers have a decimal point. Times are ISO (2024-01-31T23:59:59, with or without a zone, but one of the two in a
  whole column; a time without one is UTC), or what a time format says: seconds, milliseconds, microseconds or
  nanoseconds since 1970, or a pattern such as %d.%m.%Y %H:%M.
* No two columns have one name, however their letters are written; blanks round a name are no part of it.

`parts` finds the files and makes plain UTF-8 text of packed and re-encoded ones, `headers` reads the names of their
columns, `reading` brings the columns that are wanted into DuckDB, `cells` has the rules above in SQL.
"""
