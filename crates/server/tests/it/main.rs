//! The HTTP interface over real sockets, with a real hub on a database of its own.
